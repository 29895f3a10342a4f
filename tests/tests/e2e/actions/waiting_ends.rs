//! However a connection that waits to be closed ends, its place is free again.

use std::time::Duration;

use nix::sys::signal::Signal;
use tests::{Limiter, Server, World, programs, settle, settle::PATIENCE, sockdiag, waiting::End};

use super::{LONG, flags, settle_waiting};
use crate::{CLIENT, PORT, SERVER, ZONE};

#[test]
fn without_a_delay_it_is_closed_at_once() {
    for action in ["close", "close delay=0"] {
        let world = World::new();
        let mut server = world.serve(&[SERVER]);
        let limiter = Limiter::start(&world, &flags("1", action));
        let _open = world.open(CLIENT, server.address());
        for _ in 0..3 {
            world.must_wait(CLIENT, server.address()).must_be_closed();
            settle_waiting(&world, 0);
        }
        assert_eq!(server.stat().accepted, 1);
        assert_eq!(limiter.zone(ZONE).rejected, 3);
    }
}

#[test]
fn a_changed_delay_holds_for_those_that_come_later() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("2", LONG));
    let _open = world.open_many(CLIENT, server.address(), 2);
    let mut early = world.must_wait(CLIENT, server.address());
    settle_waiting(&world, 1);
    limiter.cli_ok(&["action", "close", "delay=100ms"]);
    let mut late = world.must_wait(CLIENT, server.address());
    assert!(late.must_be_closed() >= Duration::from_millis(100));
    assert_eq!(early.end(Duration::from_millis(200)), End::Open);
    settle_waiting(&world, 1);
}

#[test]
fn a_stop_of_the_daemon_closes_what_waits() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let world = World::new();
        let mut server = world.serve(&[SERVER]);
        let limiter = Limiter::start(&world, &flags("2", LONG));
        let open = world.open_many(CLIENT, server.address(), 2);
        let mut waiting = [(); 2].map(|()| world.must_wait(CLIENT, server.address()));
        waiting[0].say(b"hello").expect("write");
        settle_waiting(&world, 2);
        settle("unread", 0, || {
            let sockets = sockdiag::connections(&world.netns, PORT);
            sockets.iter().map(|socket| socket.unread).sum::<u32>()
        });
        limiter.end(signal);
        settle_waiting(&world, 0);
        let ends = waiting.each_mut().map(|waiting| waiting.end(PATIENCE));
        assert_eq!(ends, [End::Closed; 2], "{signal}");
        settle("programs at sk_lookup", 0, || {
            programs::at_lookup(&world.netns)
        });
        if signal == Signal::SIGKILL {
            // The kernel goes on.
            world.must_be_refused(CLIENT, server.address());
            drop(open);
            settle("open", 0, || world.open_at(PORT));
        }
        let _free = world.open(CLIENT, server.address());
        assert_eq!(server.stat().accepted, 3);
    }
}

#[test]
fn a_server_that_starts_again_gets_its_port_although_clients_wait() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("1", LONG));
    let _open = world.open(CLIENT, server.address());
    let mut waiting = world.must_wait(CLIENT, server.address());
    settle_waiting(&world, 1);
    server.kill();
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let server = world.serve(&[SERVER]);
    let _open = world.open(CLIENT, server.address());
    assert_eq!(waiting.end(Duration::from_millis(100)), End::Open);
}

#[test]
fn when_the_server_is_gone_what_waits_is_closed_before_its_time() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("1", LONG));
    let _open = world.open(CLIENT, server.address());
    let mut waiting = world.must_wait(CLIENT, server.address());
    server.kill();
    assert_eq!(waiting.end(PATIENCE), End::Closed);
    settle_waiting(&world, 0);
    // And when it is back, so is everything.
    let server = Server::start(&world, &[SERVER], &[]);
    settle("programs at sk_lookup", 1, || {
        programs::at_lookup(&world.netns)
    });
    let _open = world.open(CLIENT, server.address());
    let _waiting = world.must_wait(CLIENT, server.address());
    settle_waiting(&world, 1);
    limiter.must_be_exact(ZONE);
}
