//! The limiter is in the cgroup that it limits, as it is when that is the root of the hierarchy:
//! what it accepts must not be taken for the application's.

use nix::sys::signal::Signal;
use tests::{
    Limiter, World, cgroup::Cgroup, process::place, settle, settle::PATIENCE, tun::Tun,
    waiting::End,
};

use super::{LONG, flags, must_be_reset_and_counted, settle_waiting};
use crate::{CLIENT, PORT, SERVER, ZONE};

/// A limiter in a cgroup of its own, which goes after it.
fn start_inside(world: &World, flags: &[&str]) -> (Limiter, Cgroup) {
    let cgroup = Cgroup::inside(&world.cgroup);
    let mut command = Limiter::command(world, flags);
    place(&mut command, None, Some(&cgroup));
    let limiter = Limiter::try_command(&world.netns, &world.control(), command);
    (limiter.expect("becomes ready"), cgroup)
}

#[test]
fn who_waits_is_not_counted_as_a_connection() {
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let to = server.address();
    // Every port is limited, those of the limiter as well.
    for every_port in [false, true] {
        let flags = flags("2", LONG);
        let (limiter, _cgroup) = start_inside(&world, &flags[2 * usize::from(every_port)..]);
        let before = server.stat().accepted;
        let mut open = world.open_many(CLIENT, to, 2);
        let waiting = [(); 2].map(|()| world.must_wait(CLIENT, to));
        settle_waiting(&world, 2);
        world.must_be_refused(CLIENT, to);
        let zone = limiter.zone(ZONE);
        assert_eq!(
            (zone.connections, zone.passed, zone.rejected, zone.excess),
            (2, 2, 3, 0)
        );
        open.pop();
        settle("connections", 1, || limiter.zone(ZONE).connections);
        open.push(world.open(CLIENT, to));
        drop(waiting);
        settle_waiting(&world, 0);
        drop(open);
        settle("connections", 0, || limiter.zone(ZONE).connections);
        assert_eq!(limiter.zone(ZONE).passed, 3);
        assert_eq!(server.stat().accepted, before + 3);
        limiter.must_be_exact(ZONE);
        limiter.end(Signal::SIGTERM);
    }
}

#[test]
fn a_handshake_that_began_before_the_action_changed_is_not_counted_as_a_connection() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let server = world.serve(&["10.0.0.1:8080"]);
    let (limiter, _cgroup) = start_inside(&world, &flags("1", LONG));
    let flow = |port: u16| super::flow(server.address(), port);
    tun.connect(flow(4_000), PATIENCE).expect("below the limit");
    settle("connections", 1, || limiter.zone(ZONE).connections);
    let (late, isn) = tun.half_open(&[flow(4_001)], PATIENCE)[0];
    limiter.cli_ok(&["action", "reset"]);
    // The slot gets free, so that it could be taken.
    tun.send(&flow(4_000).rst());
    settle("connections", 0, || limiter.zone(ZONE).connections);
    tun.send(&late.ack(isn));
    // It was refused, and is closed by whom it was accepted.
    let end = std::iter::from_fn(|| tun.receive(PATIENCE))
        .find(|segment| segment.to == late.client && (segment.fin || segment.rst));
    assert!(end.is_some());
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.connections, zone.passed, zone.rejected, zone.excess),
        (0, 1, 1, 0)
    );
}

#[test]
fn reset_works_as_from_outside() {
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let (limiter, _cgroup) = start_inside(&world, &flags("1", "reset")[2..]);
    let _open = world.open(CLIENT, server.address());
    for _ in 0..3 {
        must_be_reset_and_counted(&world, &limiter, server.address());
    }
    limiter.cli_ok(&["action", "close"]);
    let mut waiting = world.must_wait(CLIENT, server.address());
    assert_eq!(waiting.end(PATIENCE), End::Closed);
    assert_eq!(server.stat().accepted, 1);
    settle("open", 1, || world.open_at(PORT));
    limiter.must_be_exact(ZONE);
}
