//! A client that sends all it can while it waits to be closed.

use std::{
    io::{ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tests::{Limiter, World, settle, settle::PATIENCE, usage::Usage, waiting::Waiting};

use super::{LONG, flags, settle_waiting};
use crate::{CLIENT, SERVER, ZONE};

/// A client's send buffer, and what the daemon takes (net.ipv4.tcp_wmem).
const MOST_TAKEN: usize = 16 * 1024 * 1024;

#[test]
fn it_is_stopped_soon_and_costs_the_daemon_nothing_from_then_on() {
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("4", LONG));
    let _open = world.open_many(CLIENT, server.address(), 4);
    let mut waiting = [(); 4].map(|()| world.must_wait(CLIENT, server.address()));
    let before = Usage::of(limiter.id());
    for waiting in &mut waiting {
        let taken = fill(waiting);
        assert!(taken < MOST_TAKEN, "{taken} bytes are taken");
    }
    let full = Usage::of(limiter.id());
    // All of them go on trying. (A kernel that is busy takes a little more, late.)
    for waiting in &mut waiting {
        let more: usize = (0..10).map(|_| fill(waiting)).sum();
        assert!(more < MOST_TAKEN, "{more} more bytes are taken");
    }
    let after = Usage::of(limiter.id());
    assert!(
        after.memory_bytes < before.memory_bytes + 4 * 1024 * 1024,
        "{before:?}, {after:?}"
    );
    assert!(
        after.cpu_time < full.cpu_time + Duration::from_millis(500),
        "{full:?}, {after:?}"
    );
    settle_waiting(&world, 4);
    assert_eq!(server.stat().accepted, 4);
    // What they have not got rid of holds them, unless they give it up.
    for waiting in waiting {
        waiting.reset().expect("reset");
    }
    settle_waiting(&world, 0);
}

/// Sends until nothing is taken for a while. How much was.
fn fill(waiting: &mut Waiting) -> usize {
    let stream = waiting.stream();
    stream
        .set_write_timeout(Some(Duration::from_millis(100)))
        .expect("set a timeout");
    let chunk = vec![b'x'; 64 * 1024];
    let mut total = 0;
    loop {
        match stream.write(&chunk) {
            Ok(taken) => total += taken,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return total,
            Err(e) => panic!("write to a connection that waits: {e}"),
        }
        assert!(total < MOST_TAKEN, "{total} bytes are taken");
    }
}

#[test]
fn it_is_closed_in_the_middle_of_it_and_holds_nobody_up() {
    let _heavy = crate::heavy();
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("9", "close delay=500ms"));
    let _open = world.open_many(CLIENT, server.address(), 9);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let floods: Vec<_> = (0..8)
            .map(|_| {
                let mut waiting = world.must_wait(CLIENT, server.address());
                scope.spawn(move || {
                    let stream = waiting.stream();
                    stream
                        .set_write_timeout(Some(PATIENCE))
                        .expect("set a timeout");
                    let chunk = vec![b'x'; 64 * 1024];
                    // Whoever sends to a closed connection is reset.
                    while let Ok(1..) = stream.write(&chunk) {}
                })
            })
            .collect();
        let mut quiet = world.must_wait(CLIENT, server.address());
        quiet.must_be_closed();
        let asking = scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                limiter.zone(ZONE);
            }
        });
        for flood in floods {
            flood.join().expect("a flood");
        }
        ended.store(true, Ordering::Relaxed);
        asking.join().expect("who asks for the status");
    });
    settle_waiting(&world, 0);
    settle("connections", 9, || limiter.zone(ZONE).connections);
}
