//! An audit in the middle of everything.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tests::{Limiter, World, client, settle, zone_map::ZoneMap};

use super::{audit, audit_zone};
use crate::{CLIENT, SERVER, ZONE};

const OTHER_CLIENT: &str = "127.0.0.6";

/// Opens and closes connections as fast as it can, in many ways, until it is told to stop. How many.
fn churn(world: &World, from: &str, to: std::net::SocketAddr, stop: &AtomicBool) -> usize {
    let mut opened = 0;
    let from = tests::world::address(from);
    world.netns.run(|| {
        while !stop.load(Ordering::Relaxed) {
            let patience = Duration::from_secs(10);
            let open: Vec<_> = (0..4)
                .filter_map(|_| client::open_here(from, to, patience).ok())
                .collect();
            opened += open.len();
            for (turn, stream) in open.into_iter().enumerate() {
                if turn % 2 == 0 {
                    let _ = client::reset(stream);
                } else {
                    drop(stream);
                }
            }
        }
    });
    opened
}

#[test]
fn while_connections_come_and_go_nothing_is_corrected_but_what_is_wrong() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &["--limit", "200", "--zone-size", "1m"]);
    let stop = AtomicBool::new(false);
    let to = server.address();
    let held = world.open_many(OTHER_CLIENT, to, 3);
    let passes = thread::scope(|scope| {
        let busy = [CLIENT, OTHER_CLIENT, CLIENT]
            .map(|from| scope.spawn(|| churn(&world, from, to, &stop)));
        let end = Instant::now() + Duration::from_secs(5);
        let mut passes = 0;
        while Instant::now() < end || passes < 20 {
            let zone = audit_zone(&limiter);
            assert_eq!((zone.corrected, zone.keys_corrected), (0, 0), "{zone:?}");
            passes += 1;
        }
        stop.store(true, Ordering::Relaxed);
        let opened: usize = busy
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum();
        assert!(opened > 100, "{opened}");
        passes
    });
    assert!(passes >= 20);
    settle("connections", 3, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);

    // What differs now differs for real.
    let map = ZoneMap::first_of(&limiter);
    let counted: u32 = map
        .keys()
        .iter()
        .map(|key| {
            limiter_common::entry::Occupancy::from_word(map.entry(key).occupancy).connections
        })
        .sum();
    assert_eq!(counted, 3);
    drop(held);
    settle("keys", 0, || limiter.zone(ZONE).keys);
    assert_eq!(map.state().live, 0);
}

#[test]
fn a_damaged_count_is_healed_while_connections_of_the_key_come_and_go() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &["--limit", "1000"]);
    let to = server.address();
    let held = world.open_many(CLIENT, to, 5);
    settle("connections", 5, || limiter.zone(ZONE).connections);
    let map = ZoneMap::first_of(&limiter);
    map.set_connections(&map.only_key(), 55);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = scope.spawn(|| churn(&world, CLIENT, to, &stop));
        settle("drift", 50, || {
            audit(&limiter);
            limiter.zone(ZONE).drift
        });
        stop.store(true, Ordering::Relaxed);
        assert!(busy.join().expect("no panic") > 0);
    });
    settle("connections", 5, || limiter.zone(ZONE).connections);
    audit(&limiter);
    let zone = audit_zone(&limiter);
    assert_eq!((zone.connections, zone.recount), (5, 5));
    assert_eq!(limiter.zone(ZONE).drift, 50);
    drop(held);
    settle("keys", 0, || limiter.zone(ZONE).keys);
}

#[test]
fn while_the_policy_changes_all_the_time() {
    const ZONES: [&str; 2] = ["1m", "2m"];
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let config = |turn: usize| {
        format!(
            "limit_conn_zone $binary_remote_addr zone=addr:{};\n\
             limit_conn_zone $server_name zone=server:{};\n\
             server {{ limit_conn addr {}; limit_conn server 900; }}\n",
            ZONES[turn / 4 % 2],
            ZONES[turn / 8 % 2],
            300 + turn % 3,
        )
    };
    let limiter = Limiter::start_config(&world, &config(0));
    let to = server.address();
    let held = world.open_many(CLIENT, to, 7);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = scope.spawn(|| churn(&world, CLIENT, to, &stop));
        let audits = scope.spawn(|| {
            let mut done = 0;
            while !stop.load(Ordering::Relaxed) {
                // It may give up while the policy changes.
                done += usize::from(limiter.cli(&["audit", "--json"]).code == Some(0));
            }
            done
        });
        for turn in 1..=16 {
            limiter.reload(&world, &config(turn));
        }
        // And in peace.
        for _ in 0..3 {
            audit(&limiter);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(audits.join().expect("no panic") > 0);
        assert!(busy.join().expect("no panic") > 0);
    });
    for zone in ["addr", "server"] {
        settle("connections", 7, || limiter.zone(zone).connections);
        limiter.must_be_exact(zone);
    }
    drop(held);
    for zone in ["addr", "server"] {
        settle("keys", 0, || limiter.zone(zone).keys);
    }
}
