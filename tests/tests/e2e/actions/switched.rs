//! Actions that change while clients wait.

use std::time::Duration;

use tests::{Limiter, World, programs, settle::PATIENCE, waiting::End};

use super::{LONG, flags, must_be_reset_and_counted, settle_waiting};
use crate::{CLIENT, SERVER, ZONE};

#[test]
fn from_close_to_drop_to_reset_to_close() {
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let to = server.address();
    let limiter = Limiter::start(&world, &flags("2", LONG));
    let _open = world.open_many(CLIENT, to, 2);
    for _ in 0..3 {
        let mut waiting = [(); 2].map(|()| world.must_wait(CLIENT, to));
        settle_waiting(&world, 2);
        world.must_be_refused(CLIENT, to);
        limiter.cli_ok(&["action", "drop"]);
        assert_eq!(programs::at_lookup(&world.netns), 0);
        world.must_be_refused(CLIENT, to);
        // Nobody serves them any more.
        assert!(waiting.iter_mut().all(|it| it.end(PATIENCE) == End::Closed));
        settle_waiting(&world, 0);

        limiter.cli_ok(&["action", "reset"]);
        assert_eq!(programs::at_lookup(&world.netns), 1);
        must_be_reset_and_counted(&world, &limiter, to);
        limiter.cli_ok(&["action", "close", "delay=1h"]);
        drop(waiting);
    }
    assert_eq!(server.stat().accepted, 2);
    assert_eq!(limiter.zone(ZONE).connections, 2);
    limiter.must_be_exact(ZONE);
}

#[test]
fn who_waits_when_close_becomes_reset_waits_to_the_end() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let to = server.address();
    let limiter = Limiter::start(&world, &flags("1", "close delay=1s"));
    let _open = world.open(CLIENT, to);
    let mut waiting = world.must_wait(CLIENT, to);
    settle_waiting(&world, 1);
    limiter.cli_ok(&["action", "reset"]);
    must_be_reset_and_counted(&world, &limiter, to);
    assert!(waiting.must_be_closed() >= Duration::from_secs(1));
    settle_waiting(&world, 0);

    limiter.cli_ok(&["action", "close", "delay=1h"]);
    let _waiting = world.must_wait(CLIENT, to);
    settle_waiting(&world, 1);
    world.must_be_refused(CLIENT, to);
}

#[test]
fn dry_run_lets_everybody_in_and_off_again_refuses() {
    for action in ["reset", LONG] {
        let world = World::new();
        let mut server = world.serve(&[SERVER]);
        let to = server.address();
        let limiter = Limiter::start(&world, &flags("1", action));
        let refused = || match action {
            "reset" => must_be_reset_and_counted(&world, &limiter, to),
            _ => drop(world.must_wait(CLIENT, to)),
        };
        let _first = world.open(CLIENT, to);
        refused();
        limiter.cli_ok(&["dry-run", "on"]);
        let _second = world.open(CLIENT, to);
        let zone = limiter.zone(ZONE);
        assert_eq!(
            (zone.connections, zone.rejected, zone.rejected_dry_run),
            (2, 1, 1)
        );
        limiter.cli_ok(&["dry-run", "off"]);
        refused();
        assert_eq!(limiter.zone(ZONE).rejected, 2);
        assert_eq!(server.stat().accepted, 2);
    }
}
