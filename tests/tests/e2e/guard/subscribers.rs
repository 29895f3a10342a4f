//! A thousand subscribers, half of whom do not read.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use tests::{
    Limiter, World,
    churn::{Churn, Ending, churn},
    descriptors, http,
    settle::{PATIENCE, poll},
    usage::Usage,
    world::address,
};

use crate::{SERVER, heavy};

const HALF: usize = 500;

/// Longer than the queue that all share (8192), with what fits into the buffers on the way to one.
const EVENTS: u64 = 10_000;

/// What one that does not read may cost the daemon's memory, bytes.
const MEMORY_OF_ONE: u64 = 128 << 10;

/// A subscriber to everything; returns when it is one.
fn subscribe(socket: &Path) -> UnixStream {
    let mut stream = http::connect(socket).expect("connect");
    stream
        .write_all(b"GET /events?all=1 HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("ask");
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 200 "),
        "{}",
        String::from_utf8_lossy(&head)
    );
    stream.set_read_timeout(None).expect("a socket");
    stream
}

/// Reads to the end, or until `enough`. Lines of chunks are left out (RFC 9112 §7.1).
fn read(stream: &UnixStream, seen: &AtomicU64, missed: &AtomicU64, enough: u64) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while seen.load(Ordering::Relaxed) + missed.load(Ordering::Relaxed) < enough {
        line.clear();
        if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(rest) = line.strip_prefix(b"{\"missed\":") {
            let digits = String::from_utf8_lossy(rest);
            let number: u64 = digits.trim_end_matches("}\n").parse().expect("a number");
            missed.fetch_add(number, Ordering::Relaxed);
        } else if line.starts_with(b"{") {
            seen.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_thousand_subscribers_half_of_them_stuck_hold_up_nobody() {
    let _heavy = heavy();
    descriptors::raise_limit();
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let mut limiter = Limiter::start(&world, &["--listen", "8080", "--limit", "1000"]);
    let before = Usage::of(limiter.id());
    let stuck: Vec<_> = (0..HALF).map(|_| subscribe(limiter.control())).collect();
    let reading: Vec<_> = (0..HALF).map(|_| subscribe(limiter.control())).collect();

    let (seen, missed) = (AtomicU64::new(0), AtomicU64::new(0));
    let sent = thread::scope(|scope| {
        for stream in &reading {
            let (seen, missed) = (&seen, &missed);
            thread::Builder::new()
                .stack_size(128 << 10)
                .spawn_scoped(scope, move || read(stream, seen, missed, u64::MAX))
                .expect("a thread");
        }
        let plan = Churn {
            connections: 1_000,
            threads: 4,
            from: (2..10).map(|n| address(&format!("127.0.0.{n}"))).collect(),
            to: vec![server.address()],
            endings: vec![Ending::ClientReset],
            patience: PATIENCE,
        };
        let mut sent = 0;
        while sent < EVENTS {
            let report = world.netns.run(|| churn(&plan));
            assert_eq!(report.done, plan.connections, "{:?}", report.failures);
            // It answers, whatever waits for whom.
            sent = limiter.status().events.sent;
            let complete = || seen.load(Ordering::Relaxed) == HALF as u64 * sent;
            assert!(
                poll(PATIENCE, complete),
                "{} of {HALF} times {sent} events arrived, {} were missed",
                seen.load(Ordering::Relaxed),
                missed.load(Ordering::Relaxed)
            );
        }
        for stream in &reading {
            stream.shutdown(Shutdown::Both).expect("a connection");
        }
        sent
    });
    assert_eq!(missed.load(Ordering::Relaxed), 0, "by those who read");
    limiter.cli_ok(&["status"]);
    let events = limiter.status().events;
    assert_eq!((events.sent, events.lost), (sent, 0));

    let grown = Usage::of(limiter.id()).memory_bytes - before.memory_bytes;
    let most = 2 * HALF as u64 * MEMORY_OF_ONE;
    assert!(grown < most, "{grown} bytes more, {most} at the most");

    // Each of them has the first events, then a number, then the last ones.
    for stream in &stuck {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let (seen, missed) = (AtomicU64::new(0), AtomicU64::new(0));
        read(stream, &seen, &missed, sent);
        let (seen, missed) = (seen.into_inner(), missed.into_inner());
        assert_eq!(seen + missed, sent);
        assert!(missed > 0, "{seen} seen");
    }
    assert!(limiter.runs());
}
