//! Connections that are reset as soon as they are there.

use std::thread;

use tests::{
    churn::{Churn, Ending, churn},
    client, settle,
    settle::PATIENCE,
    world::address,
};

use super::Stage;
use crate::{PORT, ZONE};

const ATTACKER: &str = "127.0.0.66";

#[test]
fn resets_by_the_thousands_leave_nothing_behind() {
    const CONNECTIONS: u64 = 5_000;
    let _heavy = crate::heavy();
    let stage = Stage::new();
    let plan = Churn {
        connections: CONNECTIONS,
        threads: 4,
        from: vec![address(ATTACKER)],
        to: vec![stage.server.address()],
        endings: vec![Ending::ClientReset],
        patience: PATIENCE,
    };
    let report = thread::scope(|scope| {
        let attack = scope.spawn(|| stage.world.netns.run(|| churn(&plan)));
        while !attack.is_finished() {
            stage.others_go_on();
        }
        attack.join().expect("the attack")
    });
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.done, CONNECTIONS);
    settle("keys", 1, || stage.limiter.zone(ZONE).keys);
    assert!(stage.limiter.zone(ZONE).passed > CONNECTIONS);
    stage.ends();
}

#[test]
fn what_is_reset_before_it_is_accepted_holds_no_slot() {
    const CONNECTIONS: u64 = 2_000;
    let mut stage = Stage::new();
    let (from, to) = (address(ATTACKER), stage.server.address());
    let before = stage.server.command("pause").accepted;
    stage.world.netns.run(|| {
        for _ in 0..CONNECTIONS {
            let stream = client::connect_here(from, to, PATIENCE).expect("connect");
            client::reset(stream).expect("reset");
        }
    });
    settle("open", 1, || stage.world.open_at(PORT));
    stage.must_be_exact();
    // The application finds them dead.
    stage.server.command("resume");
    settle("accepted", before + CONNECTIONS, || {
        stage.server.stat().accepted
    });
    stage.others_go_on();
    stage.ends();
}
