//! Handshakes in pieces: an interface sees the pieces, the listener the whole.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ops::Range,
    time::Duration,
};

use tests::{
    frame::{
        Frame, Tcp,
        flags::{ACK, PSH},
    },
    packet::Flow,
    settle,
    settle::PATIENCE,
};

use super::{ATTACKER, LISTEN, Stage};
use crate::{PORT, ZONE};

const ATTACKER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x66, 6);
const LIMIT: usize = 10;

/// Bytes of a TCP segment in each fragment. The kernel drops IPv6 fragments that hide the header
/// (RFC 7112).
type Pieces = &'static [Range<usize>];
const SYN: Pieces = &[0..24, 24..40];
const ACK_WITH_DATA: Pieces = &[0..24, 24..32, 32..36];
const TINY: Pieces = &[0..8, 8..16, 16..40];

fn send(stage: &Stage, whole: &Frame, pieces: Pieces, last_first: bool) {
    let mut packets: Vec<_> = pieces
        .iter()
        .map(|piece| whole.clone().fragment(piece.start, piece.end).packet())
        .collect();
    if last_first {
        packets.reverse();
    }
    packets.iter().for_each(|packet| stage.tun.send(packet));
}

fn completion(flow: &Flow, isn: u32) -> Frame {
    let tcp = Tcp {
        sequence: flow.isn.wrapping_add(1),
        acknowledgement: isn.wrapping_add(1),
        payload: vec![b'x'; 16],
        ..Tcp::bare(flow, PSH | ACK)
    };
    Frame::tcp(flow.client, flow.server, tcp)
}

/// Sends SYNs in pieces, some of them the last piece first.
fn begin(stage: &Stage, flows: &[Flow], pieces: Pieces) -> Vec<(Flow, u32)> {
    stage.tun.drain();
    for flow in flows {
        send(
            stage,
            &Frame::syn(flow),
            pieces,
            flow.client.port() % 2 == 0,
        );
    }
    stage.tun.answers(flows, PATIENCE)
}

fn limit_holds(client: IpAddr, server: &str, syn: Pieces) {
    let stage = Stage::new();
    let server: SocketAddr = server.parse().expect("literal");
    let flow = |port: u16| Flow {
        client: SocketAddr::new(client, port),
        server,
        isn: u32::from(port) << 8,
    };
    // All begin, then all complete.
    let flows: Vec<_> = (4_000..4_030).map(flow).collect();
    let answered = begin(&stage, &flows, syn);
    assert_eq!(answered.len(), flows.len());
    for (flow, isn) in &answered {
        let last_first = flow.client.port() % 3 == 0;
        send(&stage, &completion(flow, *isn), ACK_WITH_DATA, last_first);
    }
    let counted = || stage.limiter.connections_of(ZONE, client);
    settle("connections", 10, counted);
    let refused = flows.len() - LIMIT;
    assert_eq!(stage.limiter.zone(ZONE).rejected, refused as u64);
    stage.must_be_exact();
    stage.others_go_on();

    // At the limit, SYNs in pieces are refused like whole ones.
    let flows: Vec<_> = (5_000..5_030).map(flow).collect();
    for flow in &flows {
        send(&stage, &Frame::syn(flow), syn, flow.client.port() % 2 == 0);
    }
    assert!(stage.tun.answers(&flows, Duration::ZERO).is_empty());
    let rejected = stage.limiter.zone(ZONE).rejected;
    assert_eq!(rejected, (refused + flows.len()) as u64);
    assert_eq!(stage.world.open_at(PORT), 11);
    stage.ends();
}

#[test]
fn over_ipv4_the_limit_holds() {
    limit_holds(ATTACKER.into(), LISTEN[0], SYN);
}

#[test]
fn over_ipv4_the_limit_holds_even_if_the_flags_are_not_in_the_first_piece() {
    limit_holds(ATTACKER.into(), LISTEN[0], TINY);
}

#[test]
fn over_ipv6_the_limit_holds() {
    limit_holds(ATTACKER_V6.into(), LISTEN[1], SYN);
}

#[test]
fn pieces_that_never_become_a_whole_count_nothing() {
    const SOURCES: u16 = 5_000;
    let _heavy = crate::heavy();
    let stage = Stage::new();
    for n in 0..SOURCES {
        let [high, low] = n.to_be_bytes();
        let v6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x23, n);
        let v4 = stage.flow([10, 23, high, low], 4_000, n.into());
        let v6 = Flow {
            client: SocketAddr::new(v6.into(), 4_000),
            server: LISTEN[1].parse().expect("literal"),
            ..v4
        };
        // A first piece, a last one, and a header in two.
        for flow in [v4, v6] {
            let piece = &[&SYN[..1], &SYN[1..], &TINY[..1]][usize::from(n % 3)];
            send(&stage, &Frame::syn(&flow), piece, false);
        }
        if n % 1_000 == 0 {
            stage.others_go_on();
        }
    }
    let zone = stage.limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.rejected, zone.exhausted), (1, 0, 0));
    stage.others_go_on();
    stage.ends();
}
