//! Several servers, several zones, and a zone that is full.

use tests::{Limiter, World, client, settle};

use super::{LONG, settle_waiting};
use crate::{CLIENT, PORT, SERVER, ZONE};

const OTHER: &str = "127.0.0.1:8081";
const THIRD: &str = "127.0.0.1:8082";

#[test]
fn each_server_has_an_action_of_its_own() {
    let world = World::new();
    let mut server = world.serve(&[SERVER, OTHER, THIRD]);
    let limiter = Limiter::start_config(
        &world,
        "limit_conn_zone $binary_remote_addr$server_port zone=addr:1m;
        limit_conn addr 1;
        server { server_name closes; listen 8080; limit_conn_action close delay=1h; }
        server { server_name resets; listen 8081; limit_conn_action reset; }
        server { server_name drops; listen 8082; }",
    );
    let [closes, resets, drops] = [SERVER, OTHER, THIRD].map(|at| at.parse().expect("literal"));
    let _open = [closes, resets, drops].map(|to| world.open(CLIENT, to));
    for _ in 0..2 {
        let waiting = world.must_wait(CLIENT, closes);
        world.must_be_refused(CLIENT, closes);
        world.must_be_reset(CLIENT, resets);
        world.must_be_refused(CLIENT, drops);
        drop(waiting);
        settle_waiting(&world, 0);
    }
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.passed, zone.rejected), (3, 3, 8));

    // One of them changes, the others do not.
    limiter.cli_ok(&["action", "reset", "--server", "drops"]);
    limiter.cli_ok(&["action", "drop", "--server", "resets"]);
    world.must_be_reset(CLIENT, drops);
    world.must_be_refused(CLIENT, resets);
    let _waiting = world.must_wait(CLIENT, closes);
    assert_eq!(server.stat().accepted, 3);
    limiter.must_be_exact(ZONE);
}

#[test]
fn of_two_zones_the_first_that_says_no_counts_the_refusal_and_has_the_places() {
    const NEIGHBOUR: &str = "127.0.0.6";
    for action in ["reset", "close delay=1h"] {
        let world = World::new();
        let server = world.serve(&[SERVER]);
        let to = server.address();
        let limiter = Limiter::start_config(
            &world,
            &format!(
                "limit_conn_zone $binary_remote_addr zone=client:1m;
                limit_conn_zone $server_name zone=server:1m;
                limit_conn_action {action};
                server {{ server_name web; listen 8080; limit_conn client 2; limit_conn server 3; }}"
            ),
        );
        let mut waiting = Vec::new();
        let mut refuse = |from| match action {
            "reset" => world.must_be_reset(from, to),
            _ => waiting.push(world.must_wait(from, to)),
        };
        let rejected = || ["client", "server"].map(|zone| limiter.zone(zone).rejected);
        let _two = world.open_many(CLIENT, to, 2);
        refuse(CLIENT);
        assert_eq!(rejected(), [1, 0]);
        let one = world.open(NEIGHBOUR, to);
        refuse(NEIGHBOUR);
        assert_eq!(rejected(), [1, 1]);
        refuse(CLIENT);
        assert_eq!(rejected(), [2, 1], "the first one decides");
        if action != "reset" {
            settle_waiting(&world, 3);
            world.must_be_refused(CLIENT, to);
            assert_eq!(rejected(), [3, 1]);
        }
        drop(one);
        for (zone, left) in [("client", 2), ("server", 2)] {
            settle(zone, left, || limiter.zone(zone).connections);
            limiter.must_be_exact(zone);
        }
        let _again = world.open(NEIGHBOUR, to);
        drop(waiting);
        settle_waiting(&world, 0);
    }
}

/// The smallest zone there is.
const CAPACITY: u16 = 512;

#[test]
fn a_zone_without_room_resets_or_drops_because_nobody_can_wait_there() {
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let to = server.address();
    let limiter = Limiter::start_config(
        &world,
        "limit_conn_zone $binary_remote_addr zone=addr:32k;
        server { listen 8080; limit_conn addr 2; limit_conn_action reset; }",
    );
    let capacity = limiter.zone(ZONE).capacity;
    assert_eq!(capacity, u64::from(CAPACITY));
    let client = |n: u16| [127, 1, (n >> 8) as u8, n as u8].into();
    let _open: Vec<_> = (0..CAPACITY)
        .map(|n| client::open(&world.netns, client(n), to))
        .collect();
    client::must_be_reset(&world.netns, client(CAPACITY), to);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.exhausted, zone.rejected), (1, 0));

    limiter.cli_ok(&["action", "close", "delay=1h"]);
    client::must_be_refused(&world.netns, client(CAPACITY), to);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.exhausted, zone.rejected), (2, 0));
    assert_eq!(world.waiting_at(PORT), (0, 0));

    // A key that is there may wait, and takes no room.
    let _second = client::open(&world.netns, client(7), to);
    let third = tests::waiting::Waiting::connect(&world.netns, client(7), to);
    let _third = third.expect("waits to be closed");
    settle_waiting(&world, 1);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.exhausted, zone.rejected, zone.keys), (2, 1, capacity));
    assert_eq!(server.stat().accepted, u64::from(CAPACITY) + 1);
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_limit_that_is_lowered_or_raised_holds_for_places_as_well() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let to = server.address();
    let limiter = Limiter::start(&world, &super::flags("1", LONG));
    let _open = world.open(CLIENT, to);
    let mut waiting = vec![world.must_wait(CLIENT, to)];
    world.must_be_refused(CLIENT, to);
    limiter.cli_ok(&["limit", ZONE, "2"]);
    let _second = world.open(CLIENT, to);
    waiting.push(world.must_wait(CLIENT, to));
    world.must_be_refused(CLIENT, to);
    limiter.cli_ok(&["limit", ZONE, "1"]);
    drop(waiting.pop());
    settle_waiting(&world, 1);
    world.must_be_refused(CLIENT, to);
    drop(waiting.pop());
    settle_waiting(&world, 0);
    let _last = world.must_wait(CLIENT, to);
    settle_waiting(&world, 1);
    limiter.must_be_exact(ZONE);
}
