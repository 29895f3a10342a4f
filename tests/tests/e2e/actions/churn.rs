//! Connections that come and go as fast as they can, below the limit: whatever the action, nobody
//! is refused. See [`crate::churn`].

use tests::{
    Limiter, World,
    churn::{Churn, Ending, churn},
    programs, settle,
    settle::PATIENCE,
};

use super::flags;
use crate::{CLIENT, PORT, SERVER, ZONE};

#[test]
fn with_reset_a_client_below_its_limit_is_never_refused() {
    never_refused("reset");
}

#[test]
fn with_close_a_client_below_its_limit_is_never_refused() {
    never_refused("close delay=1h");
}

fn never_refused(action: &str) {
    const CONNECTIONS: u64 = 20_000;
    let _heavy = crate::heavy();
    let world = World::new();
    world
        .netns
        .sysctl("net/ipv4/ip_local_port_range", "1024 65535");
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("10", action));
    assert_eq!(programs::at_lookup(&world.netns), 1);
    let plan = Churn {
        connections: CONNECTIONS,
        threads: 6,
        from: vec![CLIENT.parse().expect("literal")],
        to: vec![server.address()],
        // Each of them waits until the server has closed as well: six are open, in truth.
        endings: vec![Ending::Client, Ending::Server, Ending::ServerReset],
        patience: PATIENCE,
    };
    let report = world.netns.run(|| churn(&plan));
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.done, CONNECTIONS);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.passed, zone.rejected, zone.excess, zone.keys),
        (CONNECTIONS, 0, 0, 0)
    );
    assert_eq!(world.open_at(PORT), 0);
    assert_eq!(server.stat().accepted, CONNECTIONS);
    limiter.must_be_exact(ZONE);
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
