//! ACKs at the listener that complete nothing.

use std::net::Ipv4Addr;

use tests::{
    frame::flags::{ACK, FIN, PSH, RST},
    mib,
};

use super::{ATTACKER, Stage, talk::Talk};
use crate::ZONE;

const SOURCES: u32 = 10_000;

fn source(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(10 << 24 | 20 << 16 | n)
}

/// With cookies an ACK may be all of a handshake, if its number is right.
#[test]
fn from_forged_sources_they_make_no_key_with_cookies_or_without() {
    let _heavy = crate::heavy();
    for cookies in ["0", "2"] {
        let stage = Stage::with(&[("net/ipv4/tcp_syncookies", cookies)], &[], super::CONFIG);
        for n in 0..SOURCES {
            let flow = stage.flow(source(n), 4_000, n << 8);
            let flags = [ACK, PSH | ACK, FIN | ACK, RST | ACK];
            let flags = flags[usize::try_from(n % 4).expect("fits")];
            stage
                .tun
                .send(&flow.forged(flags, n, n.rotate_left(13), b"x"));
            if n % 2_500 == 0 {
                stage.others_go_on();
            }
        }
        let zone = stage.limiter.zone(ZONE);
        assert_eq!((zone.keys, zone.connections), (1, 1), "cookies {cookies}");
        assert_eq!((zone.rejected, zone.exhausted), (0, 0), "cookies {cookies}");
        let netns = &stage.world.netns;
        assert_eq!(
            mib::counter(netns, "TcpExt", "SyncookiesRecv") > 0,
            cookies == "2"
        );
        stage.ends();
    }
}

/// They are refused like a handshake of its own, and that is all.
#[test]
fn in_the_name_of_a_client_at_its_limit_they_end_none_of_its_connections() {
    const ATTEMPTS: u16 = 5_000;
    let stage = Stage::new();
    let mut held: Vec<_> = (0..10)
        .map(|n| Talk::open(&stage.tun, stage.flow(ATTACKER, 1_000 + n, 7)))
        .collect();
    for n in 0..ATTEMPTS {
        let flow = stage.flow(ATTACKER, 10_000 + n, u32::from(n));
        stage.tun.send(&flow.ack(u32::from(n) << 16));
        // At a connection that there is, with numbers that it has not (RFC 5961 §5).
        let talk = held[usize::from(n) % held.len()];
        let (sequence, never_sent) = (talk.next, talk.expected.wrapping_add(1 << 20));
        stage
            .tun
            .send(&talk.flow.forged(ACK, sequence, never_sent, b"Q"));
    }
    let zone = stage.limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.connections), (2, 11));
    assert!(zone.rejected <= ATTEMPTS.into(), "{zone:?}");
    for talk in &mut held {
        talk.must_echo(&stage.tun);
    }
    stage.others_go_on();
    stage.ends();
}
