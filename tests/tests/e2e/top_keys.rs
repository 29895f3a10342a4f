//! Which keys of a zone stand out, read while connections come and go.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use limiter::{
    api::{KeyStatus, ZoneStatus},
    kernel::KeyReader,
};
use limiter_common::entry::Occupancy;
use tests::{
    Limiter, Server, World,
    churn::{Churn, Ending, churn},
    pinned::Pinned,
    settle,
    settle::PATIENCE,
    tun::Tun,
};

use crate::{SERVER, ZONE, heavy};

const FULL: u16 = 16_384;

#[test]
fn of_a_full_zone_every_key_is_read_once() {
    let _alone = heavy();
    let world = World::new();
    let tun = Tun::new(&world.netns, [10, 0, 0, 1].into(), 8);
    // Nobody accepts: the kernel makes the connections.
    let address = "10.0.0.1:8080";
    let options = ["--paused", "--backlog", "16384"];
    let _server = Server::start_in(&world, Some(&world.cgroup), &[address], &options);
    let flags = ["--listen", "8080", "--limit", "5", "--zone-size", "1m"];
    let limiter = Limiter::start(&world, &flags);
    tun.connect_each(FULL, address.parse().expect("literal"));
    settle("keys", u64::from(FULL), || limiter.zone(ZONE).keys);

    let all = limiter.top(ZONE, usize::MAX);
    assert_eq!(all.len(), usize::from(FULL));
    assert_eq!(addresses(&all).len(), all.len(), "a key came twice");
    assert!(all.iter().all(|key| key.connections == 1));
    assert!(
        all.is_sorted_by_key(|key| key.parts.remote_addr),
        "those that are alike stand in the order of their keys"
    );
    for count in [0, 1, 10, 16_383, 16_384, 16_385] {
        assert_eq!(limiter.top(ZONE, count), all[..count.min(all.len())]);
    }
    let listed = limiter.cli_ok(&["zones", ZONE, "--top", "3", "--json"]);
    let listed: ZoneStatus = serde_json::from_str(&listed).expect("a zone");
    assert_eq!(listed.top.as_deref(), Some(&all[..3]));
    assert_eq!(listed.top_rejected, None);

    // A batch of one element is too small for most buckets.
    let pinned = limiter.status().pinned.expect("pinned somewhere");
    let zones = Pinned::open(&Path::new(&pinned).join("maps/ZONES"));
    for batch in [1, 2, 3, 100, 1_000_000] {
        let reader = KeyReader::new(zones.inner(0), ZONE).expect("the map of a zone");
        let mut met = HashSet::new();
        let read = reader.with_batch(batch).each(|key, entry| {
            let connections = Occupancy::from_word(entry.occupancy).connections;
            assert_eq!((connections, met.insert(key)), (1, true), "{key:?}");
        });
        read.expect("the whole zone");
        assert_eq!(met.len(), all.len(), "in batches of {batch}");
    }
}

#[test]
fn those_that_were_refused_most_are_found_whether_or_not_they_are_connected() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &["--listen", "8080", "--limit", "2"]);
    let mut open = Vec::new();
    for (client, refusals) in [("127.0.0.2", 3), ("127.0.0.3", 1), ("127.0.0.4", 0)] {
        open.push(world.open_many(client, server.address(), 2));
        for _ in 0..refusals {
            world.must_be_refused(client, server.address());
        }
    }
    // This one has left; its key stays for a while.
    drop(open.remove(0));
    settle("keys", 2, || limiter.zone(ZONE).keys);

    let response = limiter.http("GET", "/zones/addr?top=5&by=rejected", None);
    let zone: ZoneStatus = serde_json::from_str(&response.body).expect("a zone");
    let shown = |keys: Option<Vec<KeyStatus>>| -> Vec<_> {
        let keys = keys.expect("asked for").into_iter();
        keys.map(|key| {
            (
                key.parts.remote_addr.expect("in the key"),
                key.connections,
                key.rejected,
            )
        })
        .collect()
    };
    let client = |last| IpAddr::from([127, 0, 0, last]);
    let refused = [(client(2), 0, 3), (client(3), 2, 1)];
    assert_eq!(shown(zone.top_rejected), refused);
    let busiest = [(client(3), 2, 1), (client(4), 2, 0)];
    assert_eq!(shown(zone.top), busiest);

    let text = limiter.cli_ok(&["zones", ZONE, "--by", "rejected", "--top", "1"]);
    let last = text.lines().last().expect("a line");
    let words: Vec<_> = last.split_whitespace().collect();
    assert_eq!(words, ["127.0.0.2", "0", "3"]);
}

#[test]
fn keys_that_come_and_go_are_never_met_twice_and_those_that_stay_always() {
    let _alone = heavy();
    let world = World::new();
    let server = world.serve(&[SERVER]);
    // So small that keys without connections have to make room all the time.
    let flags = ["--listen", "8080", "--limit", "8", "--zone-size", "32k"];
    let limiter = Limiter::start(&world, &flags);
    let steady: Vec<IpAddr> = (1..=100).map(|n| [127, 1, 0, n].into()).collect();
    let _open: Vec<_> = steady
        .iter()
        .map(|client| tests::client::open_many(&world.netns, *client, server.address(), 8))
        .collect();
    let to: SocketAddr = server.address();
    let plan = Churn {
        connections: 12_000,
        threads: 4,
        from: (0..2_000_u16)
            .map(|n| {
                let [high, low] = n.to_be_bytes();
                [127, 2, high, low].into()
            })
            .collect(),
        to: vec![to],
        endings: vec![Ending::Client, Ending::ClientReset],
        patience: PATIENCE,
    };
    let over = AtomicBool::new(false);
    let mut looks = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            while !over.load(Ordering::Relaxed) {
                let keys = limiter.top(ZONE, usize::MAX);
                let met = addresses(&keys);
                assert_eq!(met.len(), keys.len(), "a key came twice");
                let stayed = |client: &IpAddr| met.contains(client);
                assert!(steady.iter().all(stayed), "one that stayed is not there");
                for key in &keys {
                    let is_steady = key.parts.remote_addr.is_some_and(|it| steady.contains(&it));
                    let possible = if is_steady { 8..=8 } else { 1..=8 };
                    assert!(possible.contains(&key.connections), "{key:?}");
                }
                looks += 1;
                assert!(begun.elapsed() < 10 * PATIENCE, "the churn does not end");
            }
        });
        let report = world.netns.run(|| churn(&plan));
        over.store(true, Ordering::Relaxed);
        assert_eq!(report.failures, [""; 0]);
    });
    assert!(looks > 10, "{looks} looks at the zone");
    settle("keys", 100, || limiter.zone(ZONE).keys);
    limiter.must_be_exact(ZONE);
}

fn addresses(keys: &[KeyStatus]) -> HashSet<IpAddr> {
    keys.iter()
        .filter_map(|key| key.parts.remote_addr)
        .collect()
}
