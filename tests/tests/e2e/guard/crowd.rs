//! Very many clients at once, none of which behaves.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use ::limiter::control::MAX_CONNECTIONS;
use tests::{
    Limiter, User, World, descriptors, http,
    settle::{PATIENCE, poll},
    usage::Usage,
    user::open_world,
};

use super::{GID, UID, somebody};
use crate::{LIMIT_10, heavy};

/// What one of them may cost the daemon's memory, bytes: a task, the buffers of its connection, and a
/// body of 64 KiB.
const MEMORY_OF_ONE: u64 = 160 << 10;

/// What is said at first, and never completed.
const BEGINNINGS: [&[u8]; 5] = [
    b"",
    b"GET /sta",
    b"GET /status HTTP/1.1\r\nhost: x\r\nx-endless: yyyy",
    b"POST /dry-run HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n{",
    b"POST /dry-run HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4000\r\n{",
];

fn crowd(socket: &Path, count: usize) -> Vec<UnixStream> {
    (0..count)
        .map(|number| {
            let mut stream = http::connect(socket).expect("connect");
            // It may have been let go at once.
            let _ = stream.write_all(BEGINNINGS[number % BEGINNINGS.len()]);
            stream
        })
        .collect()
}

#[test]
fn hundreds_that_stop_in_the_middle_cost_little_and_block_nobody() {
    let _heavy = heavy();
    descriptors::raise_limit();
    let world = World::new();
    let mut limiter = Limiter::start(&world, &LIMIT_10);
    limiter.cli_ok(&["status"]);
    let before = Usage::of(limiter.id());
    let count = 600;

    // Byte by byte, some of it.
    let request = b"GET /zones/addr HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut slow: Vec<_> = (0..50)
        .map(|_| http::connect(limiter.control()).expect("connect"))
        .collect();
    for byte in &request[..20] {
        for stream in &mut slow {
            stream.write_all(&[*byte]).expect("write");
        }
    }
    let mut silent = crowd(limiter.control(), count);
    // Too much of everything.
    let endless = vec![b'y'; 1 << 20];
    for stream in &mut silent[..count / 2] {
        stream.set_nonblocking(true).expect("a socket");
        // As much as it takes, or an error because it was let go.
        let _ = stream.write(&endless);
    }
    limiter.cli_ok(&["status"]);
    limiter.cli_ok(&["dry-run", "on"]);
    limiter.cli_ok(&["dry-run", "off"]);
    assert_eq!(limiter.http("GET", "/zones", None).status, 200);
    let during = Usage::of(limiter.id());
    let grown = during.memory_bytes.saturating_sub(before.memory_bytes);
    assert!(grown < 650 * MEMORY_OF_ONE, "{grown} bytes more");
    assert!(
        during.descriptors <= before.descriptors + 650 + 8,
        "{during:?}"
    );

    // Those who are only slow get their answer.
    for byte in &request[20..] {
        for stream in &mut slow {
            let _ = stream.write_all(&[*byte]);
        }
    }
    let answered = slow
        .iter_mut()
        .filter_map(|stream| {
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            text.starts_with("HTTP/1.1 200 ").then_some(())
        })
        .count();
    // On a machine that is busy their time may be up.
    assert!(answered > 0);

    // Gone in the middle of it.
    drop(silent);
    drop(slow);
    let gone = poll(PATIENCE, || {
        Usage::of(limiter.id()).descriptors <= before.descriptors + 2
    });
    assert!(gone, "{:?} before, {:?}", before, Usage::of(limiter.id()));
    assert!(limiter.runs());
}

#[test]
fn a_reader_cannot_take_the_places_of_those_who_may_change_things() {
    let _heavy = heavy();
    descriptors::raise_limit();
    let world = World::new();
    let binary = open_world(&world);
    let group = GID.to_string();
    let limiter = Limiter::start(
        &world,
        &[
            &LIMIT_10[..],
            &["--control-others", "read", "--control-group", &group],
        ]
        .concat(),
    );
    let before = Usage::of(limiter.id());
    let greedy = somebody();
    // Subscribers may stay for as long as they like. Some are refused, and some are let go at once.
    let count = MAX_CONNECTIONS + 200;
    let taken = greedy.act(|| {
        let ask = b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n";
        let mut all: Vec<_> = (0..count)
            .map(|_| {
                let mut stream = http::connect(limiter.control()).expect("connect");
                let _ = stream.write_all(ask);
                stream
            })
            .collect();
        let mut statuses = [0, 0, 0];
        for stream in &mut all {
            let mut head = [0; 13];
            let place = match stream.read_exact(&mut head) {
                Ok(()) if head.starts_with(b"HTTP/1.1 200 ") => 0,
                Ok(()) if head.starts_with(b"HTTP/1.1 503 ") => 1,
                Ok(()) => panic!("{}", String::from_utf8_lossy(&head)),
                Err(_) => 2,
            };
            statuses[place] += 1;
        }
        let [streams, refused, closed] = statuses;
        assert_eq!(
            streams, MAX_CONNECTIONS,
            "{refused} refused, {closed} closed"
        );
        assert!(refused > 0, "{closed} closed");
        all
    });

    limiter.cli_ok(&["status"]);
    limiter.cli_ok(&["limit", "addr", "11"]);
    let member = User::new(UID + 1, &[GID]);
    let done = member.cli(&binary, limiter.control(), &["limit", "addr", "12"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let usage = Usage::of(limiter.id());
    let most = before.descriptors + MAX_CONNECTIONS + 64 + 8;
    assert!(usage.descriptors <= most, "{usage:?}");
    let grown = usage.memory_bytes.saturating_sub(before.memory_bytes);
    assert!(
        grown < MAX_CONNECTIONS as u64 * MEMORY_OF_ONE,
        "{grown} bytes"
    );

    drop(taken);
    let again = poll(PATIENCE, || {
        greedy.cli(&binary, limiter.control(), &["status"]).code == Some(0)
    });
    assert!(again, "places come back");
}
