//! Clients that count together, that do not count, and that have a number of their own.

use std::net::SocketAddr;

use tests::{Limiter, World, client, settle};

use crate::{PORT, SERVER, ZONE};

const BOTH: [&str; 2] = ["127.0.0.1:8080", "[::1]:8080"];

fn limited(world: &World, text: &str) -> Limiter {
    Limiter::start_config(world, &format!("{text} server {{ listen {PORT}; }}"))
}

#[test]
fn clients_of_one_prefix_count_together_and_two_prefixes_are_a_hierarchy() {
    let world = World::new();
    world
        .netns
        .add_loopback_v6("fd00::1".parse().expect("literal"));
    world
        .netns
        .add_loopback_v6("fd00::2".parse().expect("literal"));
    world
        .netns
        .add_loopback_v6("fd00:0:0:1::1".parse().expect("literal"));
    let server = world.serve(&BOTH);
    let limiter = limited(
        &world,
        "limit_conn_zone $binary_remote_addr zone=one:1m;
         limit_conn_zone $binary_remote_addr zone=net:1m v4_prefix=24 v6_prefix=64;
         limit_conn one 2; limit_conn net 3;",
    );
    let v4 = server.address();
    let _first = world.open_many("127.0.1.5", v4, 2);
    world.must_be_refused("127.0.1.5", v4);
    let neighbour = world.open("127.0.1.200", v4);
    world.must_be_refused("127.0.1.201", v4);
    let _other = world.open_many("127.0.2.5", v4, 2);
    client::close(neighbour).expect("close");
    settle("connections", 4, || limiter.zone("net").connections);
    let _again = world.open("127.0.1.201", v4);

    let v6: SocketAddr = BOTH[1].parse().expect("literal");
    let _first = world.open_many("fd00::1", v6, 2);
    let _neighbour = world.open("fd00::2", v6);
    world.must_be_refused("fd00::2", v6);
    let _other = world.open("fd00:0:0:1::1", v6);
    assert_eq!(
        (limiter.zone("one").rejected, limiter.zone("net").rejected),
        (1, 2)
    );
    let keys = |zone| -> Vec<_> {
        let top = limiter.top(zone, 10);
        let keys = top.iter().map(|key| {
            let client = key.parts.remote_addr.expect("counts by it").to_string();
            (client, key.parts.remote_prefix, key.connections)
        });
        keys.collect()
    };
    let net = keys("net");
    for key in [
        ("127.0.1.0".to_owned(), Some(24), 3),
        ("fd00::".to_owned(), Some(64), 3),
    ] {
        assert!(net.contains(&key), "{net:?}");
    }
    let one = keys("one");
    assert!(one.contains(&("127.0.1.5".to_owned(), None, 2)), "{one:?}");
    let text = limiter.cli_ok(&["zones", "net"]);
    for client in ["127.0.1.0/24 ", "fd00::/64 "] {
        assert!(text.contains(client), "{client}: {text}");
    }
    let text = limiter.cli_ok(&["zones", "one"]);
    assert!(text.contains("127.0.1.5 "), "{text}");
    for zone in ["one", "net"] {
        limiter.must_be_exact(zone);
    }
}

#[test]
fn exempt_clients_are_not_accounted() {
    let world = World::new();
    let server = world.serve(&BOTH);
    let to = server.address();
    let limiter = limited(
        &world,
        "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 1;
         limit_conn_exempt 127.1.0.0/16 ::/0;",
    );
    let exempt = world.open_many("127.1.2.3", to, 5);
    let _counted = world.open("127.2.0.1", to);
    world.must_be_refused("127.2.0.1", to);
    // Every IPv6 client is exempt; that says nothing about IPv4.
    let _v6 = world.open_many("::1", BOTH[1].parse().expect("literal"), 3);
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.skipped, zone.passed, zone.connections, zone.keys),
        (8, 1, 1, 1)
    );

    // From now on they count, those that are open as well.
    limiter.cli_ok(&["exempt", "remove", "127.1.0.0/16"]);
    assert_eq!(limiter.zone(ZONE).connections, 6);
    world.must_be_refused("127.1.2.3", to);
    drop(exempt);
    settle("connections", 1, || limiter.zone(ZONE).connections);
    let one = world.open("127.1.2.3", to);
    // And back: what was counted is given back.
    limiter.cli_ok(&["exempt", "add", "127.1.2.3"]);
    assert_eq!(limiter.zone(ZONE).connections, 1);
    let _more = world.open_many("127.1.2.3", to, 3);
    drop(one);
    assert_eq!(limiter.zone(ZONE).connections, 1);
    limiter.must_be_exact(ZONE);
}

#[test]
fn the_most_specific_network_has_its_number() {
    let world = World::new();
    let server = world.serve(&BOTH);
    let to = server.address();
    let limiter = limited(
        &world,
        "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 2;
         limit_conn_override addr 127.1.0.0/16 4;
         limit_conn_override addr 127.1.1.0/24 1;
         limit_conn_override addr ::/0 3;",
    );
    let mut open = Vec::new();
    for (from, to, number) in [
        ("127.3.0.1", to, 2),
        ("127.1.2.1", to, 4),
        ("127.1.1.1", to, 1),
        ("::1", BOTH[1].parse().expect("literal"), 3),
    ] {
        open.extend(world.open_many(from, to, number));
        world.must_be_refused(from, to);
    }
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.rejected), (10, 4));
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

/// The smallest zone, and more clients than it holds.
#[test]
fn a_full_zone_evicts_if_it_is_told_to() {
    const CLIENTS: usize = 2_000;
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = limited(
        &world,
        "limit_conn_zone $binary_remote_addr zone=addr:32k on_full=evict; limit_conn addr 1;",
    );
    let open: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let from = format!("127.9.{}.{}", n / 250, n % 250 + 1);
            world.open(&from, server.address())
        })
        .collect();
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.exhausted, zone.rejected), (0, 0));
    assert_eq!(zone.passed, CLIENTS as u64);
    assert!(zone.keys < CLIENTS as u64, "{zone:?}");
    // The last client is still known.
    let last = format!("127.9.{}.{}", (CLIENTS - 1) / 250, (CLIENTS - 1) % 250 + 1);
    world.must_be_refused(&last, server.address());
    let kept = zone.keys;
    drop(open);
    settle("open", 0, || world.open_at(PORT));
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.evicted), (0, CLIENTS as u64 - kept));
}
