//! Attackers that connect and hold what they get.

use std::{net::Ipv4Addr, time::Duration};

use tests::{settle, settle::PATIENCE, sockdiag};

use super::{ATTACKER, Stage, talk::Talk};
use crate::{PORT, ZONE};

const LIMIT: u16 = 10;

#[test]
fn each_gets_its_limit_and_no_more_and_others_get_in() {
    const ATTACKERS: u32 = 20;
    const ATTEMPTS: u16 = 60;
    let stage = Stage::new();
    let all = u64::from(ATTACKERS) * u64::from(LIMIT) + 1;
    for n in 0..ATTACKERS {
        let attacker = Ipv4Addr::from_bits(ATTACKER.to_bits() + n);
        let flows: Vec<_> = (0..ATTEMPTS)
            .map(|port| stage.flow(attacker, 4_000 + port, u32::from(port) << 8))
            .collect();
        // Half of them first all begin and then all complete; the others come one by one.
        let (at_once, one_by_one) = flows.split_at(usize::from(ATTEMPTS / 2));
        stage.tun.drain();
        for (flow, isn) in stage.tun.half_open(at_once, PATIENCE) {
            stage.tun.send(&flow.ack(isn));
        }
        for flow in one_by_one {
            stage.tun.send(&flow.syn());
        }
        assert!(stage.tun.answers(one_by_one, Duration::ZERO).is_empty());
        stage.others_go_on();
    }
    settle("connections", all, || stage.limiter.zone(ZONE).connections);
    let zone = stage.limiter.zone(ZONE);
    assert_eq!(
        zone.rejected,
        u64::from(ATTACKERS) * u64::from(ATTEMPTS - LIMIT)
    );
    assert_eq!((zone.keys, zone.excess), (u64::from(ATTACKERS) + 1, 0));
    stage.must_be_exact();

    // The slot that one gives up is for it alone.
    let held = stage.world.open_at(PORT);
    let gone = sockdiag::connections(&stage.world.netns, PORT)
        .into_iter()
        .find(|socket| socket.remote.ip() == ATTACKER)
        .expect("it holds ten");
    sockdiag::destroy(&stage.world.netns, &gone).expect("end a connection");
    settle("connections", all - 1, || {
        stage.limiter.zone(ZONE).connections
    });
    let neighbour = Ipv4Addr::from_bits(ATTACKER.to_bits() + 1);
    stage.tun.send(&stage.flow(neighbour, 5_000, 1).syn());
    assert_eq!(stage.limiter.zone(ZONE).connections, all - 1);
    Talk::open(&stage.tun, stage.flow(ATTACKER, 5_000, 1));
    assert_eq!(stage.world.open_at(PORT), held);
    stage.ends();
}
