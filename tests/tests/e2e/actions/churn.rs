//! Connections that come and go as fast as they can, below the limit: whatever the action, nobody
//! is refused. See [`crate::churn`].

use tests::{
    Limiter, World,
    churn::{Churn, Ending, churn},
    settle,
    settle::PATIENCE,
};

use super::flags;
use crate::{PORT, SERVER, ZONE, churn::never_refused};

#[test]
fn with_reset_a_client_below_its_limit_is_never_refused() {
    never_refused(&flags("10", "reset"), 1);
}

#[test]
fn with_close_a_client_below_its_limit_is_never_refused() {
    never_refused(&flags("10", "close delay=1h"), 1);
}

#[test]
fn with_every_action_in_turn_what_is_counted_is_what_is_open() {
    const CONNECTIONS: u64 = 10_000;
    let _heavy = crate::heavy();
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("2", "drop"));
    let plan = Churn {
        connections: CONNECTIONS,
        threads: 4,
        from: (1..=4).map(|n| [127, 0, 1, n].into()).collect(),
        to: vec![server.address()],
        endings: Ending::ALL.to_vec(),
        patience: PATIENCE,
    };
    let report = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| world.netns.run(|| churn(&plan)));
        let mut actions = ["reset", "close", "drop"].iter().cycle();
        while !traffic.is_finished() {
            let action = actions.next().expect("they never end");
            limiter.cli_ok(&["action", action]);
        }
        traffic.join().expect("the traffic")
    });
    settle("connections", 0, || limiter.zone(ZONE).connections);
    settle("open", 0, || world.open_at(PORT));
    let zone = limiter.zone(ZONE);
    assert!(report.done > 0, "{:?}", report.failures);
    assert!(server.stat().accepted >= report.done);
    assert_eq!(zone.passed + zone.excess, server.stat().accepted);
    assert_eq!(zone.keys, 0);
    limiter.must_be_exact(ZONE);
}
