//! Another version goes on where this one ends, and back. Those that lay out their maps in another way
//! are built by xtask (xtask/src/other_versions.rs): `longer` has a field more in the state of a zone
//! and in the tokens of sockets; in `swapped` fields of entries and counters have changed places, and
//! every size is the same.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use tests::{
    Limiter, World, pinned::Pinned, programs::Programs, settle, settle::poll, sockdiag,
    world::address,
};

use super::load::{EndOfLoad, come_and_go, storm};
use crate::{CLIENT, PORT, SERVER, ZONE};

const LIMIT: usize = 10;
const FLAGS: [&str; 4] = ["--listen", "8080", "--limit", "10"];
/// Its limit is reached, and stays so.
const HOLDER: &str = "127.0.0.77";
const OURS: &str = "";

fn start(world: &World, version: &str, keep: bool) -> Limiter {
    let mut flags = FLAGS.to_vec();
    if keep {
        flags.push("--keep");
    }
    match version {
        OURS => Limiter::start(world, &flags),
        _ => Limiter::start_version(world, version, &flags),
    }
}

fn up_and_down(version: &str) {
    let _heavy = crate::heavy();
    let world = World::new();
    world
        .netns
        .sysctl("net/ipv4/ip_local_port_range", "1024 65535");
    let server = world.serve(&[SERVER]);
    let done = AtomicBool::new(false);
    let limiter = start(&world, OURS, false);
    let held = world.open_many(HOLDER, server.address(), LIMIT);
    let (limiter, count, most) = thread::scope(|scope| {
        let end_of_load = EndOfLoad(&done);
        let churn = scope.spawn(|| world.netns.run(|| come_and_go(&done)));
        let storm = scope.spawn(|| world.netns.run(|| storm(LIMIT, &done)));
        let mut before = limiter;
        let mut ending = Signal::SIGKILL;
        for round in 0..6 {
            thread::sleep(Duration::from_millis(300));
            before.end(ending);
            // Nobody is there, and the limit holds.
            world.must_be_refused(HOLDER, server.address());
            let keep = round % 2 == 0;
            before = start(&world, [version, OURS][round % 2], keep);
            before.must_say("took the place of what another daemon has left");
            before.must_say("has made it, with maps of another layout");
            // What is open counts, exactly; and the other set is gone.
            let counted = before.connections_of(ZONE, address(HOLDER));
            assert_eq!(counted as usize, LIMIT, "round {round}");
            world.must_be_refused(HOLDER, server.address());
            assert_eq!(
                Programs::attached(world.cgroup.path()),
                Programs::ONE_LIMITER
            );
            // The next one finds it killed, or stopped and kept.
            ending = if keep {
                Signal::SIGTERM
            } else {
                Signal::SIGKILL
            };
        }
        drop(end_of_load);
        let count = churn.join().expect("those who come and go");
        (before, count, storm.join().expect("the storm"))
    });
    eprintln!("{count} connections came and went, {most} of the storm at once");
    assert!(count > 1_000, "{count}");
    assert!(most <= LIMIT, "{most} of one client at once");
    settle("connections", LIMIT as u64, || {
        limiter.zone(ZONE).connections
    });
    assert_eq!(sockdiag::count(&world.netns, PORT), LIMIT as u64);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.untracked, zone.exhausted), (1, 0, 0));
    limiter.must_be_exact(ZONE);
    drop(held);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(limiter.zone(ZONE).keys, 0);
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
}

#[test]
fn with_longer_values_the_limit_holds_and_everything_open_counts() {
    up_and_down("longer");
}

#[test]
fn with_fields_that_have_changed_places_the_limit_holds_and_everything_open_counts() {
    up_and_down("swapped");
}

#[test]
fn counters_go_on_if_they_mean_the_same_and_begin_at_zero_otherwise() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = start(&world, OURS, false);
    let _open = world.open_many(CLIENT, server.address(), LIMIT);
    world.must_be_refused(CLIENT, server.address());
    limiter.cli_ok(&["reset"]);
    let _other = world.open_many("127.0.0.6", server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    limiter.end(Signal::SIGKILL);
    // Nobody looks, and it is counted.
    world.must_be_refused(CLIENT, server.address());
    let counters = |limiter: &Limiter| {
        let zone = limiter.zone(ZONE);
        (zone.connections, zone.passed, zone.rejected)
    };
    let limiter = start(&world, "longer", false);
    limiter.must_say("counters of zones go on");
    assert!(limiter.status().version.ends_with("-longer"));
    assert_eq!(counters(&limiter), (13, 3, 2));
    let _fourth = world.open("127.0.0.6", server.address());
    limiter.end(Signal::SIGKILL);
    let limiter = start(&world, OURS, false);
    assert_eq!(counters(&limiter), (14, 4, 2));
    limiter.end(Signal::SIGKILL);
    let limiter = start(&world, "swapped", false);
    limiter.must_say("counters begin at zero");
    assert!(limiter.status().version.ends_with("-swapped"));
    assert_eq!(counters(&limiter), (14, 0, 0));
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(counters(&limiter), (14, 0, 1));
}

fn links(place: &Path) -> Vec<(PathBuf, u32)> {
    let entries = fs::read_dir(place.join("links")).expect("the links");
    let mut links: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("a link").path();
            let id = Pinned::open(&path).link_id();
            (path, id)
        })
        .collect();
    links.sort_unstable();
    links
}

#[test]
fn other_programs_with_the_same_maps_are_put_in_place_at_the_same_links() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = start(&world, OURS, false);
    let _open = world.open_many(CLIENT, server.address(), LIMIT);
    let place = PathBuf::from(limiter.status().pinned.expect("a place"));
    let before = links(&place);
    assert!(before.len() >= 2, "{before:?}");
    limiter.end(Signal::SIGKILL);
    // With debug output the programs are others.
    let text = "error_log stderr debug; limit_conn_zone $binary_remote_addr zone=addr:1m;
        limit_conn addr 10; server { listen 8080; }";
    let limiter = Limiter::start_config(&world, text);
    limiter.must_say("took over");
    assert_eq!(links(&place), before);
    world.must_be_refused(CLIENT, server.address());
    assert!(poll(settle::PATIENCE, || limiter
        .stderr()
        .contains("[debug]")));
}
