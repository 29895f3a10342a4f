//! The port: where it is, when it changes, and who cannot take it from others.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tests::{Limiter, World, port, settle};

use super::{METRICS, metrics};
use crate::{LIMIT_10, SERVER};

const API: &str = "/api/9/stream/limit_conns/";

fn answers(world: &World, address: &str) -> bool {
    let address = address.parse().expect("an address");
    port::request(&world.netns, address, "GET", API).is_ok_and(|answer| answer.status == 200)
}

#[test]
fn a_flag_opens_it_and_a_port_that_is_taken_ends_the_start() {
    let world = World::new();
    let flags = [
        &LIMIT_10[..],
        &["--metrics", "9145", "--metrics", "[::1]:80"],
    ]
    .concat();
    let limiter = Limiter::start(&world, &flags);
    limiter.must_say("metrics at http://127.0.0.1:9145/metrics");
    // Below 1024, by a daemon that has given up the capability by now.
    for address in [METRICS, "[::1]:80"] {
        assert!(answers(&world, address), "{address}");
    }
    for (address, text) in [
        (METRICS, "metrics 127.0.0.1:9145: Address already in use"),
        (
            "192.0.2.77:9145",
            "metrics 192.0.2.77:9145: Cannot assign requested address",
        ),
    ] {
        let flags = [&LIMIT_10[..], &["--metrics", address]].concat();
        let failed = Limiter::try_start(&world, &world.path("second.sock"), &flags)
            .expect_err("the port is not to be had");
        assert_eq!(failed.code, Some(1), "{}", failed.stderr);
        assert!(failed.stderr.contains(text), "{}", failed.stderr);
        assert!(failed.stderr.contains("\nhint: "), "{}", failed.stderr);
    }
    // It is free for the next one at once.
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    let limiter = Limiter::start(&world, &flags[..flags.len() - 2]);
    assert!(answers(&world, METRICS));
    drop(limiter);
}

#[test]
fn a_reload_moves_it_or_changes_nothing() {
    let world = World::new();
    let text = |metrics: &str, limit: u16| {
        format!("{metrics} limit_conn_zone $remote_addr zone=addr:1m; limit_conn addr {limit};")
    };
    let limiter = Limiter::start_config(&world, &text("metrics 9145;", 7));
    let slow = port::connect(&world.netns, metrics()).expect("connect");

    limiter.reload(&world, &text("metrics 9145; metrics 9146;", 7));
    settle("the second is open", true, || {
        answers(&world, "127.0.0.1:9146")
    });
    assert!(answers(&world, METRICS));
    assert!(!is_closed(&slow), "whoever is at the first may stay");

    limiter.reload(&world, &text("metrics 127.0.0.1:9146;", 7));
    settle("the first is closed", true, || !answers(&world, METRICS));
    assert!(answers(&world, "127.0.0.1:9146"));
    settle("and so are its connections", true, || is_closed(&slow));

    // Somebody has taken it meanwhile.
    let _server = world.serve(&[METRICS]);
    world.write(
        "limiter.conf",
        &(world.attach() + &text("metrics 9145;", 8)),
    );
    let refused = limiter.cli(&["reload"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let sentence = "metrics 127.0.0.1:9145: Address already in use";
    assert!(refused.stderr.contains(sentence), "{}", refused.stderr);
    assert!(answers(&world, "127.0.0.1:9146"));
    assert_eq!(limiter.status().servers[0].limits[0].limit, 7);
    limiter.must_say("the policy in force stays");

    // It has given up what a low port takes.
    world.write("limiter.conf", &(world.attach() + &text("metrics 80;", 8)));
    let refused = limiter.cli(&["reload"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let sentence = "metrics 127.0.0.1:80: Permission denied";
    assert!(refused.stderr.contains(sentence), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("at the start only"),
        "{}",
        refused.stderr
    );

    limiter.reload(&world, &text("", 9));
    settle("none is open", true, || !answers(&world, "127.0.0.1:9146"));
    assert_eq!(limiter.status().servers[0].limits[0].limit, 9);
}

#[test]
fn clients_that_are_slow_block_nobody() {
    let world = World::new();
    let flags = [&LIMIT_10[..], &["--metrics", "9145"]].concat();
    let limiter = Limiter::start(&world, &flags);
    let _server = world.serve(&[SERVER]);
    let request = format!("GET {API} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut slow = Vec::new();
    // Three times as many as there is room for.
    for number in 0..400 {
        let mut stream = port::connect(&world.netns, metrics()).expect("connect");
        let part = [
            &b""[..],
            b"GET",
            b"GET /metrics HTTP/1.1\r\nx: y\r\n",
            &[0x16, 3, 1],
        ][number % 4];
        // It may have lost its place already.
        let _ = stream.write_all(part);
        slow.push(stream);
    }
    let began = Instant::now();
    for _ in 0..20 {
        assert!(answers(&world, METRICS));
        assert_eq!(limiter.http("GET", "/status", None).status, 200);
    }
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "before the slow ones are given up"
    );
    assert!(slow.iter().filter(|stream| is_closed(stream)).count() >= 400 - 128);
    settle("all of them are given up", true, || {
        slow.iter().all(is_closed)
    });

    // Those that ask and never read.
    let mut deaf = Vec::new();
    for _ in 0..400 {
        let mut stream = port::connect(&world.netns, metrics()).expect("connect");
        let _ = stream.write_all(request.as_bytes());
        deaf.push(stream);
    }
    settle("it is answered", true, || answers(&world, METRICS));
    assert_eq!(limiter.http("GET", "/status", None).status, 200);
    limiter.cli_ok(&["limit", "addr", "11"]);
}

#[test]
fn a_request_is_bounded() {
    let world = World::new();
    let flags = [&LIMIT_10[..], &["--metrics", "9145"]].concat();
    let mut limiter = Limiter::start(&world, &flags);
    let long = format!(
        "GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
    let large = format!(
        "POST /reset HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{}",
        8 << 20,
        "x".repeat(8 << 20)
    );
    for bytes in [
        long.as_bytes(),
        many.as_bytes(),
        large.as_bytes(),
        b"\r\n\r\nhello\r\n\r\n",
    ] {
        // An error status, or the connection is closed without an answer.
        if let Ok(answer) = port::raw(&world.netns, metrics(), bytes) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
        assert!(limiter.runs());
        assert!(answers(&world, METRICS));
    }
    let head = port::request(&world.netns, metrics(), "HEAD", "/api/");
    // Its length is that of a body that does not come.
    assert!(head.is_ok_and(|answer| answer.status == 200 && answer.body.is_empty()));
    // Nobody is at the port who may change anything, so nobody needs a permission to be there.
    let mode = std::fs::metadata(limiter.control())
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

fn is_closed(mut stream: &TcpStream) -> bool {
    stream
        .set_nonblocking(true)
        .expect("an open socket takes options");
    loop {
        match stream.read(&mut [0; 512]) {
            Ok(0) => return true,
            // The end of an answer.
            Ok(_) => {}
            Err(e) => return e.kind() != ErrorKind::WouldBlock,
        }
    }
}
