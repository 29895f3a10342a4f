//! Handshakes that are not the usual three segments: SYN cookies and TCP Fast Open.

use std::io::{ErrorKind, Read};

use tests::{
    Limiter, Server, World, client, mib, settle, settle::PATIENCE, tun::Tun, waiting::End,
    world::address,
};

use super::{LONG, flags, flow, must_be_reset_and_counted, settle_waiting};
use crate::{CLIENT, PORT, SERVER, ZONE};

fn with_cookies() -> World {
    let world = World::new();
    // Cookies always, not only when the queue is full.
    world.netns.sysctl("net/ipv4/tcp_syncookies", "2");
    world
}

#[test]
fn with_syn_cookies_a_refused_client_is_reset() {
    let world = with_cookies();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("10", "reset"));
    let mut open = world.open_many(CLIENT, server.address(), 10);
    for _ in 0..3 {
        must_be_reset_and_counted(&world, &limiter, server.address());
    }
    assert!(mib::counter(&world.netns, "TcpExt", "SyncookiesRecv") >= 10);
    client::close(open.pop().expect("ten are open")).expect("close");
    settle("connections", 9, || limiter.zone(ZONE).connections);
    open.push(world.open(CLIENT, server.address()));
    assert_eq!(server.stat().accepted, 11);
    limiter.must_be_exact(ZONE);
}

#[test]
fn with_syn_cookies_a_handshake_that_comes_too_late_is_reset() {
    let world = with_cookies();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let mut server = world.serve(&["10.0.0.1:8080"]);
    let limiter = Limiter::start(&world, &flags("10", "reset"));
    let flows: Vec<_> = (4_000..4_050)
        .map(|port| flow(server.address(), port))
        .collect();
    let answered = tun.half_open(&flows, PATIENCE);
    assert_eq!(answered.len(), 50);
    for (flow, isn) in &answered {
        tun.send(&flow.ack(*isn));
    }
    settle("connections", 10, || limiter.zone(ZONE).connections);
    settle("accepted", 10, || server.stat().accepted);
    let reset = std::iter::from_fn(|| tun.receive(client::REFUSED_AFTER))
        .filter(|segment| segment.rst)
        .count();
    assert_eq!(reset, 40);
    assert_eq!(world.open_at(PORT), 10);
    limiter.must_be_exact(ZONE);
}

#[test]
fn with_syn_cookies_a_refused_client_is_accepted_and_closed() {
    let world = with_cookies();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("2", LONG));
    let _open = world.open_many(CLIENT, server.address(), 2);
    for _ in 0..2 {
        let mut waiting = [(); 2].map(|()| world.must_wait(CLIENT, server.address()));
        settle_waiting(&world, 2);
        for waiting in &mut waiting {
            waiting.say(b"hello").expect("write");
            assert_eq!(waiting.end(client::REFUSED_AFTER), End::Open);
        }
        world.must_be_refused(CLIENT, server.address());
        drop(waiting);
        settle_waiting(&world, 0);
    }
    limiter.cli_ok(&["action", "close", "delay=100ms"]);
    let mut last = world.must_wait(CLIENT, server.address());
    last.must_be_closed();
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.rejected), (2, 7));
    assert_eq!(server.stat().accepted, 2);
    limiter.must_be_exact(ZONE);
}

/// Client and server, without a cookie on either side (ip-sysctl.rst, tcp_fastopen).
const FAST_OPEN: &str = "1543";
/// The same, but only for servers that ask for it.
const FAST_OPEN_IF_ASKED_FOR: &str = "519";

#[test]
fn with_fast_open_a_refused_client_is_reset_and_its_data_goes_nowhere() {
    let world = World::new();
    world.netns.sysctl("net/ipv4/tcp_fastopen", FAST_OPEN);
    let mut server = Server::start(&world, &[SERVER], &["--fast-open"]);
    let limiter = Limiter::start(&world, &flags("2", "reset"));
    let fast_open = || {
        world
            .netns
            .run(|| client::connect_with_data(address(CLIENT), server.address(), b"x", PATIENCE))
    };
    let mut open = [(); 2].map(|()| fast_open().expect("below the limit"));
    for stream in &mut open {
        let mut echo = [0; 2];
        stream.read_exact(&mut echo).expect("greeting and echo");
    }
    for refused in 1..=3 {
        let error = fast_open().and_then(|mut stream| stream.read(&mut [0]));
        let error = error.expect_err("beyond the limit");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        let zone = limiter.zone(ZONE);
        assert_eq!((zone.rejected, zone.syn_retransmits), (refused, 0));
    }
    let passive = mib::counter(&world.netns, "TcpExt", "TCPFastOpenPassive");
    assert_eq!((passive, server.stat().accepted), (2, 2));
    limiter.must_be_exact(ZONE);
}

#[test]
fn with_fast_open_a_refused_client_is_closed_and_its_data_goes_nowhere() {
    for switch in [FAST_OPEN, FAST_OPEN_IF_ASKED_FOR] {
        let world = World::new();
        world.netns.sysctl("net/ipv4/tcp_fastopen", switch);
        let mut server = Server::start(&world, &[SERVER], &["--fast-open"]);
        let limiter = Limiter::start(&world, &flags("2", "close delay=200ms"));
        let fast_open = || {
            world.netns.run(|| {
                client::connect_with_data(address(CLIENT), server.address(), b"x", PATIENCE)
            })
        };
        let mut open = [(); 2].map(|()| fast_open().expect("below the limit"));
        for stream in &mut open {
            let mut echo = [0; 2];
            stream.read_exact(&mut echo).expect("greeting and echo");
        }
        for _ in 0..3 {
            let mut refused = [(); 2].map(|()| fast_open().expect("accepted by the limiter"));
            for stream in &mut refused {
                assert_eq!(stream.read(&mut [0]).expect("closed"), 0);
            }
            settle_waiting(&world, 0);
        }
        assert_eq!(server.stat().accepted, 2, "{switch}");
        let zone = limiter.zone(ZONE);
        assert_eq!((zone.connections, zone.rejected), (2, 6), "{switch}");
        limiter.must_be_exact(ZONE);
    }
}
