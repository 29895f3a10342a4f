//! The promise itself: so many connections per key, and not one more.

use std::thread;

use tests::{Limiter, World, client, peer::Clients, settle, settle::PATIENCE, world::address};

use crate::{CLIENT, LIMIT_10, PORT, SERVER, ZONE};

#[test]
fn with_limit_10_the_eleventh_connection_is_refused_until_one_closes() {
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let mut open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());

    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.connections, zone.keys, zone.passed, zone.rejected),
        (10, 1, 10, 1)
    );
    assert_eq!(server.stat().accepted, 10);
    assert_eq!(world.open_at(PORT), 10);

    client::close(open.pop().expect("ten are open")).expect("close");
    settle("connections", 9, || limiter.zone(ZONE).connections);
    open.push(world.open(CLIENT, server.address()));
    world.must_be_refused(CLIENT, server.address());
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.passed, zone.rejected), (10, 11, 2));

    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(limiter.zone(ZONE).keys, 0);
    limiter.must_be_exact(ZONE);
}

#[test]
fn each_client_address_has_a_limit_of_its_own() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _full = world.open_many(CLIENT, server.address(), 10);
    let _other = world.open_many("127.0.0.6", server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    world.must_be_refused("127.0.0.6", server.address());
    assert_eq!(limiter.connections_of(ZONE, address(CLIENT)), 10);
    assert_eq!(limiter.connections_of(ZONE, address("127.0.0.6")), 10);
}

#[test]
fn a_client_that_waits_gets_in_when_a_slot_frees_up_and_counts_as_one_refusal() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let mut open = world.open_many(CLIENT, server.address(), 10);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client::open(&world.netns, address(CLIENT), server.address()));
        // Its SYN is repeated after a second, and refused again.
        settle("SYN repeated", true, || {
            limiter.zone(ZONE).syn_retransmits >= 1
        });
        assert_eq!(limiter.zone(ZONE).rejected, 1);
        client::close(open.pop().expect("ten are open")).expect("close");
        waiting.join().expect("the waiting client");
    });
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.passed, zone.rejected), (11, 1));
}

#[test]
fn ports_that_no_server_covers_are_not_limited() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start(&world, &["--listen", "8080", "--limit", "1"]);
    let other = "127.0.0.1:8081".parse().expect("literal");
    let _free = world.open_many(CLIENT, other, 5);
    let _one = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(limiter.zone(ZONE).connections, 1);
}

#[test]
fn a_listen_address_covers_that_address_only() {
    let world = World::new();
    let server = world.serve(&["0.0.0.0:8080"]);
    let limiter = Limiter::start(&world, &["--listen", "127.0.0.2:8080", "--limit", "1"]);
    let covered = "127.0.0.2:8080".parse().expect("literal");
    let _one = world.open(CLIENT, covered);
    world.must_be_refused(CLIENT, covered);
    let free = format!("127.0.0.3:{}", server.port());
    let _free = world.open_many(CLIENT, free.parse().expect("literal"), 3);
    assert_eq!(limiter.zone(ZONE).connections, 1);
}

#[test]
fn without_listen_and_with_a_port_range_every_port_counts_together() {
    for flags in [
        &["--limit", "3"][..],
        &["--limit", "3", "--listen", "8080-8090"],
    ] {
        let world = World::new();
        let server = world.serve(&[SERVER, "127.0.0.1:8090"]);
        let limiter = Limiter::start(&world, flags);
        let last = "127.0.0.1:8090".parse().expect("literal");
        let _first = world.open_many(CLIENT, server.address(), 2);
        let _last = world.open(CLIENT, last);
        world.must_be_refused(CLIENT, last);
        world.must_be_refused(CLIENT, server.address());
        assert_eq!(limiter.zone(ZONE).connections, 3, "{flags:?}");
    }
}

#[test]
fn ipv4_ipv4_mapped_and_ipv6_have_one_key_per_real_address() {
    let world = World::new();
    world
        .netns
        .add_loopback_v6("fd00::7".parse().expect("literal"));
    let server = world.serve(&[SERVER, "[::]:8081"]);
    let flags = ["--listen", "8080", "--listen", "8081", "--limit", "10"];
    let limiter = Limiter::start(&world, &flags);
    let mapped = "127.0.0.1:8081".parse().expect("literal");
    let v6 = "[::1]:8081".parse().expect("literal");

    let _v4 = world.open_many(CLIENT, server.address(), 4);
    let _mapped = world.open_many(CLIENT, mapped, 4);
    let _v6 = world.open_many("fd00::7", v6, 10);
    let _rest = world.open_many(CLIENT, mapped, 2);
    world.must_be_refused(CLIENT, mapped);
    world.must_be_refused(CLIENT, server.address());
    world.must_be_refused("fd00::7", v6);

    let mut keys: Vec<_> = limiter
        .top(ZONE, 10)
        .into_iter()
        .map(|key| {
            (
                key.parts.remote_addr.expect("counts by it"),
                key.connections,
            )
        })
        .collect();
    keys.sort();
    assert_eq!(keys, [(address(CLIENT), 10), (address("fd00::7"), 10)]);
    let text = limiter.cli_ok(&["zones", ZONE, "--json", "--top", "10"]);
    assert!(
        text.contains("\"127.0.0.5\"") && !text.contains("ffff"),
        "{text}"
    );
}

#[test]
fn a_client_in_the_same_cgroup_is_limited_as_any_other() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let clients = Clients::open(&world, CLIENT, server.address(), 12);
    assert_eq!((clients.established, clients.timed_out), (10, 2));
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.passed, zone.rejected), (10, 10, 2));
    drop(clients);
    settle("connections", 0, || limiter.zone(ZONE).connections);
}

#[test]
fn a_changed_limit_holds_from_the_next_connection_on() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let mut open = world.open_many(CLIENT, server.address(), 10);
    limiter.cli_ok(&["limit", ZONE, "12"]);
    open.extend(world.open_many(CLIENT, server.address(), 2));
    world.must_be_refused(CLIENT, server.address());

    limiter.cli_ok(&["limit", ZONE, "3"]);
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(limiter.zone(ZONE).connections, 12);
    let mut kept = open.split_off(10);
    drop(open);
    settle("connections", 2, || limiter.zone(ZONE).connections);
    kept.push(
        client::try_open(&world.netns, address(CLIENT), server.address(), PATIENCE)
            .expect("below the new limit"),
    );
    world.must_be_refused(CLIENT, server.address());
    limiter.must_be_exact(ZONE);
}
