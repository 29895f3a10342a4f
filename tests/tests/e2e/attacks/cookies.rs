//! With SYN cookies the ACK alone is the handshake: it may come late, in any number, and again.

use std::net::SocketAddr;

use tests::{frame::flags::RST, mib, settle, settle::PATIENCE, sockdiag};

use super::{ATTACKER, Stage, talk::Talk};
use crate::{PORT, ZONE};

/// Ends of the attacker's connections.
fn open(stage: &Stage) -> Vec<SocketAddr> {
    let all = sockdiag::connections(&stage.world.netns, PORT).into_iter();
    all.map(|it| it.remote)
        .filter(|it| it.ip() == ATTACKER)
        .collect()
}

#[test]
fn however_many_cookies_a_client_collects_it_has_its_limit_and_no_more() {
    const COOKIES: u16 = 200;
    let stage = Stage::with(&[("net/ipv4/tcp_syncookies", "2")], &[], super::CONFIG);
    let flows: Vec<_> = (0..COOKIES)
        .map(|n| stage.flow(ATTACKER, 4_000 + n, u32::from(n) << 8))
        .collect();
    stage.tun.drain();
    let cookies = stage.tun.half_open(&flows, PATIENCE);
    assert_eq!(cookies.len(), usize::from(COOKIES));
    assert_eq!(stage.limiter.zone(ZONE).keys, 1);

    let use_all = || {
        cookies
            .iter()
            .for_each(|(flow, isn)| stage.tun.send(&flow.ack(*isn)))
    };
    use_all();
    settle("open", 10, || open(&stage).len());
    stage.must_be_exact();
    let zone = stage.limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.excess), (11, 0));
    assert_eq!(zone.rejected, u64::from(COOKIES) - 10);
    stage.others_go_on();
    let taken = mib::counter(&stage.world.netns, "TcpExt", "SyncookiesRecv");
    assert!(taken >= 10, "{taken}");

    // A cookie is good for a minute at least, and the kernel keeps no note of those that were used.
    for _ in 0..2 {
        let gone = open(&stage);
        for (flow, isn) in cookies
            .iter()
            .filter(|(flow, _)| gone.contains(&flow.client))
        {
            stage.tun.send(&Talk::of(*flow, *isn).segment(RST, 0));
        }
        settle("open", 0, || open(&stage).len());
        stage.must_be_exact();
        use_all();
        settle("open", 10, || open(&stage).len());
        stage.must_be_exact();
        stage.others_go_on();
    }
    stage.ends();
}
