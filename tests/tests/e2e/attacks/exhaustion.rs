//! Attackers that have all keys of a zone. `exhausted` has the plain case.

use std::net::Ipv4Addr;

use tests::{frame::flags::RST, settle, settle::PATIENCE, sockdiag};

use super::{Stage, talk::Talk};
use crate::{PORT, ZONE};

const CONFIG: &str = "
    limit_conn_zone $binary_remote_addr zone=addr:32k;
    server { server_name web; listen 8080; limit_conn addr 2; }
";
/// As the smallest zone has keys.
const CAPACITY: u32 = 512;

#[test]
fn who_has_a_key_goes_on_and_each_key_that_is_given_up_is_one_for_somebody_else() {
    const BEGUN: u8 = 50;
    const ATTEMPTS: u32 = 10_000;
    let _heavy = crate::heavy();
    let stage = Stage::with(&[], &[], CONFIG);
    // Some have begun before the zone is full.
    let begun: Vec<_> = (0..BEGUN)
        .map(|n| stage.flow([10, 2, 0, n], 4_000, u32::from(n) << 8))
        .collect();
    let begun = stage.tun.half_open(&begun, PATIENCE);
    let first = Ipv4Addr::new(10, 1, 0, 0);
    stage
        .tun
        .connect_from(first, CAPACITY - 1, stage.server.address());
    settle("keys", CAPACITY.into(), || stage.limiter.zone(ZONE).keys);
    assert_eq!(stage.limiter.zone(ZONE).capacity, u64::from(CAPACITY));

    for (flow, isn) in &begun {
        stage.tun.send(&flow.ack(*isn));
    }
    let source = |n: u32| Ipv4Addr::from_bits(10 << 24 | 3 << 16 | n);
    for n in 0..ATTEMPTS {
        stage.tun.send(&stage.flow(source(n), 4_000, n).syn());
        if n % 2_000 == 0 {
            stage.others_go_on();
        }
    }
    let zone = stage.limiter.zone(ZONE);
    let refused = u64::from(BEGUN) + u64::from(ATTEMPTS);
    assert_eq!(
        (zone.exhausted, zone.rejected, zone.excess),
        (refused, 0, 0)
    );
    assert_eq!(zone.keys, u64::from(CAPACITY));
    assert_eq!(stage.world.open_at(PORT), u64::from(CAPACITY));
    stage.must_be_exact();

    // One attacker leaves.
    let all = sockdiag::connections(&stage.world.netns, PORT);
    let gone = all
        .iter()
        .find(|it| it.remote.ip() == first)
        .expect("it is there");
    sockdiag::destroy(&stage.world.netns, gone).expect("end a connection");
    settle("keys", u64::from(CAPACITY) - 1, || {
        stage.limiter.zone(ZONE).keys
    });
    let mut next = Talk::open(&stage.tun, stage.flow(source(1), 5_000, 1));
    next.must_echo(&stage.tun);
    stage.tun.send(&stage.flow(source(2), 5_000, 1).syn());
    assert_eq!(stage.limiter.zone(ZONE).exhausted, refused + 1);
    stage.tun.send(&next.segment(RST, 0));
    settle("keys", u64::from(CAPACITY) - 1, || {
        stage.limiter.zone(ZONE).keys
    });
    stage.others_go_on();
    stage.ends();
}
