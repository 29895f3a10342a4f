//! More events than anybody can read.

use std::time::Duration;

use tests::{
    Limiter, Server, World, event_load as load, http::Events, limiter::QUIET, settle, tun::Tun,
    usage::Usage,
};

use crate::{PORT, ZONE};

/// What the daemon may take of memory for events: its history and the queue of subscribers.
const MEMORY: u64 = 48 << 20;

/// What the daemon may take of the CPU time that the load takes, per cent. It is a debug build; see
/// docs/performance.md for what the daemon really takes.
const SHARE: u32 = 50;

#[test]
fn a_flood_of_events_costs_little_and_each_is_accounted_for() {
    let _heavy = crate::heavy();
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let options = ["--paused", "--backlog", "16384"];
    let server = Server::start(&world, &["10.0.0.1:8080"], &options);
    let limiter = Limiter::start(&world, &["--listen", "8080", "--limit", "1"]);
    load::fill(&tun, server.address());
    settle("connections", u64::from(load::CLIENTS), || {
        limiter.zone(ZONE).connections
    });
    let events = Events::subscribe(limiter.control(), "?all=1");
    let before = Usage::of(limiter.id());

    let load = load::refused(&tun, server.address(), Duration::from_secs(4));

    let after = Usage::of(limiter.id());
    let received = events.rest(QUIET).len() as u64;
    assert_eq!(limiter.zone(ZONE).rejected, load.offered);
    let status = limiter.status().events;
    assert_eq!(
        status.sent + status.lost + status.suppressed,
        load.offered,
        "{status:?} {load:?}"
    );
    assert_eq!(received + events.missed(), status.sent, "{status:?}");
    let cpu_time = after.cpu_time - before.cpu_time;
    assert!(
        cpu_time * 100 < load.cpu_time * SHARE,
        "{cpu_time:?} for {load:?}, {status:?}"
    );
    let grown = after.memory_bytes.saturating_sub(before.memory_bytes);
    assert!(grown < MEMORY, "{grown} bytes for {status:?}");
    assert_eq!(world.open_at(PORT), u64::from(load::CLIENTS));
    limiter.must_be_exact(ZONE);
}
