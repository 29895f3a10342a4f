//! TCP Fast Open: a SYN with data that opens a connection before the client has answered anything.
//!
//! The cookie in it is proof of the address (RFC 7413 §4.1.2), so nobody can forge it for another.

use std::io::Read as _;

use tests::{
    client::{self, REFUSED_AFTER},
    frame::{Frame, Tcp},
    mib,
    packet::Flow,
    settle,
    settle::PATIENCE,
    tun::Tun,
    world::address,
};

use super::{ATTACKER, Stage};
use crate::{PORT, ZONE};

/// Client and server, with cookies (ip-sysctl.rst, tcp_fastopen).
const FAST_OPEN: (&str, &str) = ("net/ipv4/tcp_fastopen", "3");
/// The option, RFC 7413 §4.1.1.
const OPTION: u8 = 34;

/// A SYN with data, and with this cookie; an empty one asks for it.
fn syn(flow: &Flow, cookie: &[u8]) -> Vec<u8> {
    let mut tcp = Tcp::syn(flow);
    tcp.options
        .extend([OPTION, u8::try_from(2 + cookie.len()).expect("short")]);
    tcp.options.extend(cookie);
    tcp.payload = if cookie.is_empty() {
        vec![]
    } else {
        b"x".to_vec()
    };
    Frame::tcp(flow.client, flow.server, tcp).packet()
}

/// The cookie for this client.
fn cookie(tun: &Tun, flow: &Flow) -> Vec<u8> {
    const KINDS_WITHOUT_LENGTH: [u8; 2] = [0, 1];
    tun.send(&syn(flow, &[]));
    loop {
        let answer = tun.receive(PATIENCE).expect("an answer to the SYN");
        if !answer.is_syn_ack_for(flow) {
            continue;
        }
        let mut rest = answer.options.as_slice();
        while let [kind, more @ ..] = rest {
            rest = match more {
                more if KINDS_WITHOUT_LENGTH.contains(kind) => more,
                [length, ..] if *kind == OPTION => return rest[2..usize::from(*length)].to_vec(),
                [length, ..] => &rest[usize::from(*length)..],
                [] => break,
            };
        }
        panic!("no cookie in {:?}", answer.options);
    }
}

/// Whether the kernel is to give up soon what is not acknowledged, or as late as it usually does.
fn give_up(stage: &Stage, soon: bool) {
    let retries = if soon { "0" } else { "5" };
    stage
        .world
        .netns
        .sysctl("net/ipv4/tcp_synack_retries", retries);
}

#[test]
fn with_a_cookie_a_client_has_its_limit_and_its_further_data_goes_nowhere() {
    const CLIENT: &str = "127.0.0.66";
    let stage = Stage::with(&[FAST_OPEN], &["--fast-open"], super::CONFIG);
    let to = stage.server.address();
    let connect = |patience| {
        let connect = || client::connect_with_data(address(CLIENT), to, b"x", patience);
        let mut stream = stage.world.netns.run(connect)?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer)?;
        assert_eq!(&answer, b"!x");
        Ok::<_, std::io::Error>(stream)
    };
    // The first one asks for the cookie.
    let mut held: Vec<_> = (0..10)
        .map(|_| connect(PATIENCE).expect("an answer"))
        .collect();
    let passive = || mib::counter(&stage.world.netns, "TcpExt", "TCPFastOpenPassive");
    assert_eq!(passive(), 9);
    for _ in 0..3 {
        connect(REFUSED_AFTER).expect_err("beyond the limit");
    }
    assert_eq!(passive(), 9);
    assert_eq!(stage.limiter.zone(ZONE).connections, 11);
    stage.must_be_exact();
    stage.others_go_on();
    held.pop();
    settle("connections", 10, || stage.limiter.zone(ZONE).connections);
    held.push(connect(PATIENCE).expect("a slot is free"));
    stage.ends();
}

#[test]
fn a_burst_with_one_cookie_gets_the_limit_and_nobody_elses_cookie_is_good_for_anything() {
    const BURST: u16 = 200;
    let stage = Stage::with(&[FAST_OPEN], &["--fast-open"], super::CONFIG);
    let cookie = cookie(&stage.tun, &stage.flow(ATTACKER, 1_000, 1));
    for round in 0..2 {
        for n in 0..BURST {
            let flow = stage.flow(ATTACKER, 4_000 + n, round * 1_000 + u32::from(n));
            stage.tun.send(&syn(&flow, &cookie));
        }
        let zone = stage.limiter.zone(ZONE);
        assert_eq!((zone.connections, zone.excess), (11, 0));
        assert_eq!(zone.rejected, u64::from(round + 1) * u64::from(BURST - 10));
        stage.must_be_exact();
        stage.others_go_on();
        // The client stays silent, and its slots are free again.
        give_up(&stage, true);
        settle("connections", 1, || stage.limiter.zone(ZONE).connections);
        give_up(&stage, false);
    }
    for n in 0..BURST {
        let [high, low] = n.to_be_bytes();
        let other = stage.flow([10, 21, high, low], 4_000, n.into());
        stage.tun.send(&syn(&other, &cookie));
    }
    assert_eq!(stage.limiter.zone(ZONE).keys, 1);
    assert_eq!(stage.world.open_at(PORT), 1);
    stage.ends();
}

/// The kernel can be told to do without cookies. Then a SYN in anybody's name is a connection of his,
/// to the server as well, until he is found not to be there.
#[test]
fn without_cookies_forged_syns_open_connections_within_the_limits() {
    const WITHOUT_COOKIES: (&str, &str) = ("net/ipv4/tcp_fastopen", "515");
    const SOURCES: u8 = 50;
    let stage = Stage::with(&[WITHOUT_COOKIES], &["--fast-open"], super::CONFIG);
    for n in 0..SOURCES {
        for port in 4_000..4_020 {
            let flow = stage.flow([10, 22, 0, n], port, port.into());
            stage.tun.send(&syn(&flow, &[0x5a; 8]));
        }
    }
    let zone = stage.limiter.zone(ZONE);
    let sources = u64::from(SOURCES);
    assert_eq!(
        (zone.keys, zone.connections),
        (sources + 1, 10 * sources + 1)
    );
    assert_eq!((zone.rejected, zone.excess), (10 * sources, 0));
    stage.must_be_exact();
    stage.others_go_on();
    // A victim may say that it knows nothing of it.
    for port in 4_000..4_010 {
        stage
            .tun
            .send(&stage.flow([10, 22, 0, 0], port, port.into()).rst_after(1));
    }
    give_up(&stage, true);
    settle("keys", 1, || stage.limiter.zone(ZONE).keys);
    settle("connections", 1, || stage.limiter.zone(ZONE).connections);
    stage.ends();
}
