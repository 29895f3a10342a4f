//! Clients that hold too many connections, or hardly use them.

use std::{io::Write as _, net::TcpStream, thread, time::Duration};

use limiter::api::doctor::{Cause, Confidence, Level};
use tests::{World, client, nginx::Nginx, nginx::Shape, settle::PATIENCE, world::address};

use super::{examine, must_say};
use crate::SERVER;

/// Addresses in networks of their own.
fn clients(count: u8) -> impl Iterator<Item = String> + Clone {
    (1..=count).map(|network| format!("127.0.{network}.5"))
}

#[test]
fn one_client_with_300_connections_is_named() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let _greedy = world.open_many("127.0.66.6", server.address(), 300);
    let _others: Vec<_> = clients(9)
        .flat_map(|from| world.open_many(&from, server.address(), 3))
        .collect();
    let report = examine(&world, &[]);
    let listener = must_say(
        &report,
        Level::Warning,
        Cause::GreedySource,
        Confidence::High,
    );
    let top = &listener.sources.top_clients[0];
    assert_eq!(
        (top.source.as_str(), top.connections, top.percent),
        ("127.0.66.6", 300, 91)
    );
    assert_eq!(listener.sources.top_networks[0].source, "127.0.66.0/24");
    assert_eq!(
        (listener.sources.clients, listener.sources.networks),
        (10, 10)
    );
    let verdict = &report.verdict;
    assert!(
        verdict.summary.contains("127.0.66.6"),
        "{}",
        verdict.summary
    );
    let line = verdict.advice[0].line.as_deref().expect("a line");
    assert!(line.contains("listen 8080; limit_conn addr 20;"), "{line}");
    // It is one that the limiter takes.
    let path = world.write("advice.conf", line);
    let mut command = tests::limiter::command();
    command.arg("check").arg(path);
    let output = tests::process::run(command, None);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}

#[test]
fn one_network_with_many_clients_is_named() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let _greedy: Vec<_> = (1..=60)
        .flat_map(|host| world.open_many(&format!("127.0.66.{host}"), server.address(), 3))
        .collect();
    let _others: Vec<_> = clients(9)
        .flat_map(|from| world.open_many(&from, server.address(), 3))
        .collect();
    let report = examine(&world, &[]);
    let listener = must_say(
        &report,
        Level::Warning,
        Cause::GreedySource,
        Confidence::High,
    );
    assert_eq!(listener.sources.top_networks[0].connections, 180);
    let summary = &report.verdict.summary;
    assert!(summary.contains("127.0.66.0/24"), "{summary}");
}

#[test]
fn half_a_request_is_no_slow_upstream() {
    let world = World::new();
    let nginx = Nginx::start(&world, SERVER.parse().expect("literal"));
    let _half = begin_requests(&world, &nginx);
    let report = examine(&world, &[]);
    let listener = must_say(
        &report,
        Level::Warning,
        Cause::SlowClients,
        Confidence::High,
    );
    assert_eq!(listener.activity.waiting, 60);
    let evidence = report.verdict.evidence.join("\n");
    assert!(evidence.contains("half a request"), "{evidence}");
}

/// Requests to nginx that are never complete.
fn begin_requests(world: &World, nginx: &Nginx) -> Vec<TcpStream> {
    let to = nginx.address();
    let begin = |from: String| {
        let from = address(&from);
        let mut stream = client::connect_here(from, to, PATIENCE).expect("connect");
        stream.set_nodelay(true).expect("set an option");
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n")
            .expect("write");
        stream
    };
    world
        .netns
        .run(|| clients(6).cycle().take(60).map(begin).collect())
}

#[test]
fn slowloris_is_told_from_a_slow_upstream() {
    let world = World::new();
    let nginx = Nginx::start(&world, SERVER.parse().expect("literal"));
    let mut slow = begin_requests(&world, &nginx);
    let mut drop_one = |pause| {
        for stream in &mut slow {
            stream.write_all(b"x-a: b\r\n").expect("write");
        }
        thread::sleep(Duration::from_millis(pause));
    };
    let report = thread::scope(|scope| {
        let report = scope.spawn(|| examine(&world, &[]));
        while !report.is_finished() {
            drop_one(100);
        }
        report.join().expect("a report")
    });
    let listener = must_say(
        &report,
        Level::Warning,
        Cause::SlowClients,
        Confidence::High,
    );
    assert_eq!(listener.activity.slow, 60);
    let advice = format!("{:?}", report.verdict.advice);
    assert!(advice.contains("client_header_timeout"), "{advice}");

    // Also if no drop falls between the samples.
    let report = examine(&world, &[]);
    must_say(
        &report,
        Level::Warning,
        Cause::SlowClients,
        Confidence::High,
    );
}

#[test]
fn clients_that_take_their_answers_in_drops_are_slow() {
    let world = World::new();
    let large = "x".repeat(3_000);
    let location = (0..9).fold(String::new(), |text, n| {
        text + &format!("set $v{n} {large};")
    });
    let body = "$v0$v1$v2$v3$v4$v5$v6$v7$v8".repeat(40);
    let shape = Shape {
        location: format!("{location} return 200 \"{body}\";"),
        ..Shape::default()
    };
    let nginx = Nginx::start_as(&world, SERVER.parse().expect("literal"), &shape);
    let ask = |from: String| {
        let to = nginx.address();
        let mut stream = client::connect_here(address(&from), to, PATIENCE).expect("connect");
        // More than buffers take, and nobody reads.
        let requests = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n".repeat(20);
        stream.write_all(&requests).expect("write");
        stream
    };
    let _slow: Vec<_> = world
        .netns
        .run(|| clients(6).cycle().take(30).map(ask).collect());
    // Until every buffer is full.
    tests::settle("clients that take nothing", 30, || {
        let report = examine(&world, &[]);
        report.listeners[0].activity.slow
    });
    let report = examine(&world, &[]);
    must_say(
        &report,
        Level::Warning,
        Cause::SlowClients,
        Confidence::High,
    );
}
