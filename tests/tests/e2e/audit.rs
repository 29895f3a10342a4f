//! What looks after the counts: it must not spoil them, and it mends them.

use std::{thread::sleep, time::Duration};

use limiter::api::{AuditReport, ZoneAuditReport};
use tests::{Limiter, World, netns::NetNs, settle};

use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

mod busy;
mod damage;
mod foreign;

/// Runs one pass.
fn audit(limiter: &Limiter) -> AuditReport {
    let text = limiter.cli_ok(&["audit", "--json"]);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// What one pass has found in the only zone.
fn audit_zone(limiter: &Limiter) -> ZoneAuditReport {
    let mut report = audit(limiter);
    assert_eq!(report.zones.len(), 1, "{report:?}");
    report.zones.remove(0)
}

/// Longer than it takes an audit (every ten seconds) to see a difference twice and correct it.
const TWO_AUDITS: Duration = Duration::from_secs(25);

#[test]
fn a_right_count_is_left_alone() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let early = world.open_many(CLIENT, server.address(), 4);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let open = world.open_many(CLIENT, server.address(), 6);
    sleep(TWO_AUDITS);
    still_exact(&world, &limiter, &server);
    drop((early, open));
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn connections_in_a_network_namespace_that_the_daemon_is_not_in_stay_counted() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_elsewhere(&world, &NetNs::new(), &LIMIT_10);
    let open = world.open_many(CLIENT, server.address(), 10);
    sleep(TWO_AUDITS);
    still_exact(&world, &limiter, &server);
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

fn still_exact(world: &World, limiter: &Limiter, server: &tests::Server) {
    assert_eq!(limiter.zone(ZONE).connections, 10);
    world.must_be_refused(CLIENT, server.address());
    limiter.must_be_exact(ZONE);
}
