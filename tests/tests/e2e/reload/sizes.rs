//! Zones with the same name and key keep every count, also when their size changes.

use limiter::api::ZoneChange;
use tests::{Limiter, World, client, settle, world::address};

use super::change;
use crate::{CLIENT, SERVER};

fn config(zone: &str) -> String {
    format!(
        "limit_conn_zone $binary_remote_addr zone=addr:{zone};
        server {{ listen 8080; limit_conn addr 5; }}"
    )
}

#[test]
fn a_zone_that_grows_or_shrinks_keeps_connections_and_counters() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, &config("1m"));
    let mut open = world.open_many(CLIENT, server.address(), 5);
    open.extend(world.open_many("127.0.0.6", server.address(), 2));
    world.must_be_refused(CLIENT, server.address());
    let before = limiter.zone("addr");
    let rejected = limiter.top("addr", 1)[0].rejected;
    assert_eq!((before.connections, before.keys, rejected), (7, 2, 1));
    for size in ["4m", "32k", "1m on_full=evict", "1m"] {
        let reloaded = limiter.reload(&world, &config(size));
        assert_eq!(change(&reloaded, "addr"), ZoneChange::Resized, "{size}");
        let after = limiter.zone("addr");
        assert_eq!(
            (after.connections, after.keys, after.passed, after.rejected),
            (7, 2, before.passed, before.rejected),
            "{size}"
        );
        assert_eq!(limiter.connections_of("addr", address(CLIENT)), 5, "{size}");
        assert_eq!(limiter.top("addr", 1)[0].rejected, rejected, "{size}");
    }
    assert_ne!(limiter.zone("addr").memory_bytes, 0);
    // The limit is in force, and what is closed is given back to where it counts now.
    world.must_be_refused(CLIENT, server.address());
    client::reset(open.remove(0)).expect("reset");
    settle("connections", 6, || limiter.zone("addr").connections);
    open.push(world.open(CLIENT, server.address()));
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 0, || limiter.zone("addr").connections);
    assert_eq!(limiter.zone("addr").keys, 0);
    limiter.must_be_exact("addr");
}

#[test]
fn the_same_size_and_key_are_the_same_zone_however_they_are_written() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, &config("1m"));
    let _open = world.open_many(CLIENT, server.address(), 2);
    let reloaded = limiter.reload(
        &world,
        "limit_conn_zone $server_port zone=port:1m;
        limit_conn_zone $remote_addr zone=addr:1024k v4_prefix=32;
        limit_conn port 100;
        server { listen 80; }
        server { listen 8080; limit_conn addr 2; }",
    );
    assert_eq!(change(&reloaded, "addr"), ZoneChange::Kept);
    assert_eq!(limiter.zone("addr").connections, 2);
    world.must_be_refused(CLIENT, server.address());
    limiter.must_be_exact("addr");
}

#[test]
fn a_zone_that_shrinks_below_its_keys_loses_none_and_takes_no_new_one() {
    const KEYS: u8 = 200;
    // Room for 512 keys, which is the least.
    const SMALL: &str = "32k";
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, &config("1m"));
    let from = |high: u8, low: u8| format!("127.0.{high}.{low}");
    let mut open = Vec::new();
    for high in 1..=3 {
        for low in 1..=KEYS {
            open.push(world.open(&from(high, low), server.address()));
        }
    }
    limiter.reload(&world, &config(SMALL));
    let zone = limiter.zone("addr");
    let all = 3 * u64::from(KEYS);
    assert_eq!(
        (zone.capacity, zone.keys, zone.connections),
        (512, all, all)
    );
    // Whoever is there may have more, others may not come.
    open.push(world.open(&from(1, 1), server.address()));
    world.must_be_refused(&from(4, 1), server.address());
    assert_eq!(limiter.zone("addr").exhausted, 1);
    open.drain(..100);
    settle("keys", all - 99, || limiter.zone("addr").keys);
    open.push(world.open(&from(4, 1), server.address()));
    drop(open);
    settle("connections", 0, || limiter.zone("addr").connections);
    let zone = limiter.zone("addr");
    assert_eq!((zone.keys, zone.untracked), (0, 0));
    limiter.must_be_exact("addr");
}

/// What waits to be closed holds a place in the zone of before.
#[test]
fn who_waits_while_a_zone_moves_is_closed_in_time_and_disturbs_nobody() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let config = |zone: &str| config(zone) + "limit_conn_action close delay=1s;";
    let limiter = Limiter::start_config(&world, &config("1m"));
    let open = world.open_many(CLIENT, server.address(), 5);
    let mut waiting: Vec<_> = (0..5)
        .map(|_| world.must_wait(CLIENT, server.address()))
        .collect();
    limiter.reload(&world, &config("2m"));
    assert_eq!(limiter.zone("addr").connections, 5);
    for one in &mut waiting {
        one.must_be_closed();
    }
    drop(waiting);
    let mut again = world.must_wait(CLIENT, server.address());
    again.must_be_closed();
    drop(open);
    settle("connections", 0, || limiter.zone("addr").connections);
    assert_eq!(limiter.zone("addr").keys, 0);
    limiter.must_be_exact("addr");
}
