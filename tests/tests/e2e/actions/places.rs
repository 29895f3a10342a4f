//! Connections that wait to be closed: at most as many of a key as its limit, and no slot taken.

use std::time::Duration;

use tests::{Limiter, World, client, settle};

use super::{LONG, flags, settle_waiting};
use crate::{CLIENT, PORT, SERVER, ZONE};

#[test]
fn who_waits_takes_no_slot_and_a_slot_that_gets_free_is_usable_at_once() {
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("3", LONG));
    let mut open = world.open_many(CLIENT, server.address(), 3);
    let _waiting = [(); 2].map(|()| world.must_wait(CLIENT, server.address()));
    settle_waiting(&world, 2);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.keys, zone.rejected), (3, 1, 2));

    client::close(open.pop().expect("three are open")).expect("close");
    settle("connections", 2, || limiter.zone(ZONE).connections);
    open.push(world.open(CLIENT, server.address()));
    assert_eq!(server.stat().accepted, 4);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.passed, zone.rejected), (3, 4, 2));

    // Those who wait do so still, when all the others are gone.
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(world.waiting_at(PORT), (2, 2));
    assert_eq!(limiter.zone(ZONE).keys, 0);
    let _again = world.open_many(CLIENT, server.address(), 3);
    limiter.must_be_exact(ZONE);
}

#[test]
fn so_many_wait_as_the_limit_says_and_the_next_syn_is_dropped_and_counted_once() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("2", LONG));
    let _open = world.open_many(CLIENT, server.address(), 2);
    let _waiting = [(); 2].map(|()| world.must_wait(CLIENT, server.address()));
    settle_waiting(&world, 2);
    world.must_be_refused(CLIENT, server.address());
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.rejected, zone.syn_retransmits), (3, 0));

    // One that is patient repeats its SYN, and is the same attempt.
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| world.must_wait(CLIENT, server.address()));
        settle("SYN repeated", true, || {
            limiter.zone(ZONE).syn_retransmits >= 1
        });
        assert_eq!(limiter.zone(ZONE).rejected, 4);
        drop(_waiting);
        late.join().expect("the patient client")
    });
    settle_waiting(&world, 1);
    assert_eq!(limiter.zone(ZONE).rejected, 4);
    drop(late);
    settle_waiting(&world, 0);
    limiter.must_be_exact(ZONE);
}

#[test]
fn two_keys_do_not_share_places() {
    const OTHER: &str = "127.0.0.6";
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("1", LONG));
    let _open = [CLIENT, OTHER].map(|from| world.open(from, server.address()));
    let one = world.must_wait(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    let _other = world.must_wait(OTHER, server.address());
    world.must_be_refused(OTHER, server.address());
    settle_waiting(&world, 2);
    drop(one);
    settle_waiting(&world, 1);
    world.must_be_refused(OTHER, server.address());
    let _again = world.must_wait(CLIENT, server.address());
    settle_waiting(&world, 2);
    assert_eq!(limiter.zone(ZONE).connections, 2);
}

#[test]
fn a_place_is_free_again_after_the_delay_over_and_over() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("2", "close delay=100ms"));
    let _open = world.open_many(CLIENT, server.address(), 2);
    for _ in 0..5 {
        let waiting = [(); 2].map(|()| world.must_wait(CLIENT, server.address()));
        for mut waiting in waiting {
            assert!(waiting.must_be_closed() >= Duration::from_millis(100));
        }
        settle_waiting(&world, 0);
    }
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.rejected, zone.excess, zone.connections), (10, 0, 2));
}

#[test]
fn a_place_is_free_again_when_the_client_closes_or_resets() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("1", LONG));
    let _open = world.open(CLIENT, server.address());
    for _ in 0..3 {
        drop(world.must_wait(CLIENT, server.address()));
        settle_waiting(&world, 0);
        let waiting = world.must_wait(CLIENT, server.address());
        waiting.reset().expect("reset");
        settle_waiting(&world, 0);
    }
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.rejected, zone.excess, zone.connections), (6, 0, 1));
}
