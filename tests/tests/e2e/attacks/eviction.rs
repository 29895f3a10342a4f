//! Keys by the thousands, to have the kernel forget one that is in use.

use tests::{
    churn::{Churn, Ending, churn},
    settle,
    settle::PATIENCE,
    world::address,
};

use super::Stage;
use crate::{PORT, ZONE};

/// It opens its connections and leaves them idle: what a table that evicts by recency forgets first.
const VICTIM: &str = "127.0.0.77";
/// As the smallest zone has keys.
const CAPACITY: u64 = 512;

fn stage(on_full: &str) -> Stage {
    let zone = format!("limit_conn_zone $binary_remote_addr zone=addr:32k on_full={on_full};");
    let limits = "server { listen 8080; limit_conn addr 10; }";
    Stage::with(&[], &[], &(zone + limits))
}

/// One connection from each of thousands of addresses, soon closed.
fn attack(stage: &Stage, round: u8) {
    const ADDRESSES: u16 = 5_000;
    let from = (0..ADDRESSES).map(|n| {
        let [high, low] = n.to_be_bytes();
        [127, 100 + round, high, low].into()
    });
    let plan = Churn {
        connections: ADDRESSES.into(),
        threads: 4,
        from: from.collect(),
        to: vec![stage.server.address()],
        endings: vec![Ending::ClientReset],
        patience: PATIENCE,
    };
    let report = stage.world.netns.run(|| churn(&plan));
    assert_eq!(report.failures, Vec::<String>::new());
    stage.others_go_on();
}

#[test]
fn with_reject_a_key_in_use_is_never_forgotten() {
    let _heavy = crate::heavy();
    let stage = stage("reject");
    assert_eq!(stage.limiter.zone(ZONE).capacity, CAPACITY);
    let held = stage.world.open_many(VICTIM, stage.server.address(), 10);
    for round in 0..2 {
        attack(&stage, round);
        assert_eq!(stage.limiter.connections_of(ZONE, address(VICTIM)), 10);
        stage.world.must_be_refused(VICTIM, stage.server.address());
        stage.must_be_exact();
    }
    assert_eq!(stage.limiter.zone(ZONE).exhausted, 0);
    held.iter().for_each(super::must_echo);
    drop(held);
    settle("keys", 1, || stage.limiter.zone(ZONE).keys);
    stage.ends();
}

#[test]
fn with_evict_a_key_that_is_forgotten_is_counted_again_and_nothing_twice() {
    const ROUNDS: u8 = 10;
    let _heavy = crate::heavy();
    let mut stage = stage("evict");
    let to = stage.server.address();
    let held = stage.world.open_many(VICTIM, to, 10);
    let known = |stage: &Stage| stage.limiter.connections_of(ZONE, address(VICTIM));
    // One round is ten times what the zone holds, but the kernel's lists are not exact. An audit may have
    // made it known again: then its ten slots were evicted. Fewer are somebody else's.
    let mut round = 0;
    while stage.limiter.zone(ZONE).evicted < 10 && known(&stage) > 0 {
        assert!(round < ROUNDS, "it is still known");
        attack(&stage, round);
        round += 1;
    }
    let zone = stage.limiter.zone(ZONE);
    assert!(zone.keys <= zone.capacity, "{zone:?}");
    assert_eq!((zone.rejected, zone.exhausted, zone.drift), (0, 0, 0));
    // What it has goes on, and counts again.
    held.iter().for_each(super::must_echo);
    stage.limiter.cli_ok(&["audit"]);
    assert_eq!(known(&stage), 10);
    stage.world.must_be_refused(VICTIM, to);
    assert_eq!(
        stage.limiter.zone(ZONE).connections,
        stage.world.open_at(PORT)
    );
    // What ends gives back what was counted again.
    drop(held);
    settle("open", 1, || stage.world.open_at(PORT));
    settle("connections", 1, || stage.limiter.zone(ZONE).connections);
    settle("known", 0, || known(&stage));
    let again = stage.world.open_many(VICTIM, to, 10);
    stage.world.must_be_refused(VICTIM, to);

    drop((again, stage.held.take()));
    settle("open", 0, || stage.world.open_at(PORT));
    settle("connections", 0, || stage.limiter.zone(ZONE).connections);
    let zone = stage.limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.drift, zone.untracked), (0, 0, 0));
    assert!(zone.evicted >= 10, "{zone:?}");
    stage.must_have_grown_little();
}
