//! `reset`: a refused attempt is answered with a RST, as if nobody listened.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
};

use limiter::{
    api::{EventState, Reason},
    policy::ActionKind,
};
use tests::{
    Limiter, World, client,
    packet::{Flow, Segment},
    settle,
    settle::PATIENCE,
    tun::Tun,
    world::address,
};

use super::{flags, must_be_reset_and_counted};
use crate::{CLIENT, SERVER, ZONE};

#[test]
fn over_ipv4_ipv6_and_mapped_a_refused_client_is_told_so_and_counted_once() {
    for (listen, from, to) in [
        (SERVER, CLIENT, SERVER),
        ("[::1]:8080", "::1", "[::1]:8080"),
        ("[::]:8080", CLIENT, SERVER),
        ("[::]:8080", "::1", "[::1]:8080"),
        ("0.0.0.0:8080", CLIENT, "127.0.0.9:8080"),
    ] {
        let world = World::new();
        let mut server = world.serve(&[listen]);
        let limiter = Limiter::start(&world, &flags("2", "reset"));
        let events = limiter.events();
        let to: SocketAddr = to.parse().expect("literal");
        let mut open = world.open_many(from, to, 2);
        for refused in 1..=3 {
            world.must_be_reset(from, to);
            let zone = limiter.zone(ZONE);
            assert_eq!(
                (zone.connections, zone.rejected, zone.syn_retransmits),
                (2, refused, 0),
                "{listen}"
            );
        }
        let event = events.next(PATIENCE).expect("an event");
        assert_eq!(
            (event.status, event.reason, event.action),
            (EventState::Rejected, Reason::Limit, ActionKind::Reset)
        );
        assert_eq!(
            (event.hook.as_str(), event.remote_addr, event.local_port),
            ("sk_lookup", address(from), 8080)
        );
        assert_eq!((event.connections, event.limit), (2, 2));

        open.pop();
        settle("connections", 1, || limiter.zone(ZONE).connections);
        open.push(world.open(from, to));
        assert_eq!(server.stat().accepted, 3);
        limiter.must_be_exact(ZONE);
    }
}

#[test]
fn a_stray_segment_of_a_client_at_its_limit_gets_its_rst_and_counts_nothing() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let server = world.serve(&["10.0.0.1:8080"]);
    for action in ["drop", "reset", "close"] {
        let limiter = Limiter::start(&world, &flags("1", action));
        let flow = |port| super::flow(server.address(), port);
        tun.connect(flow(4_000), PATIENCE).expect("below the limit");
        settle("connections", 1, || limiter.zone(ZONE).connections);
        let before = limiter.zone(ZONE);
        tun.drain();
        if action != "drop" {
            for stray in [flow(4_001).ack(77), flow(4_002).data(77, 5, b"x")] {
                tun.send(&stray);
                let answer = answer_to(&tun, 4_001..=4_002);
                assert!(answer.rst && answer.sequence == 78, "{action}: {answer:?}");
            }
        }
        // Nobody answers that.
        tun.send(&flow(4_003).rst());
        assert_eq!(limiter.zone(ZONE), before, "{action}");
        tun.send(&flow(4_000).rst());
        settle("connections", 0, || limiter.zone(ZONE).connections);
    }
}

/// The next segment to one of the client's ports.
fn answer_to(tun: &Tun, ports: std::ops::RangeInclusive<u16>) -> Segment {
    loop {
        let segment = tun.receive(PATIENCE).expect("an answer");
        if ports.contains(&segment.to.port()) {
            return segment;
        }
    }
}

#[test]
fn a_client_that_got_its_rst_may_try_again_from_the_same_port() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let server = world.serve(&["10.0.0.1:8080"]);
    let limiter = Limiter::start(&world, &flags("1", "reset"));
    let flow = |port, isn| Flow {
        isn,
        ..super::flow(server.address(), port)
    };
    tun.connect(flow(4_000, 1), PATIENCE)
        .expect("below the limit");
    for attempt in 1..=3 {
        let flow = flow(4_001, 1_000 * attempt);
        tun.send(&flow.syn());
        let answer = answer_to(&tun, 4_001..=4_001);
        assert!(answer.rst && answer.ack, "{answer:?}");
        assert_eq!(answer.acknowledged, flow.isn + 1);
        assert_eq!(limiter.zone(ZONE).rejected, u64::from(attempt));
    }
    tun.send(&flow(4_000, 1).rst());
    settle("connections", 0, || limiter.zone(ZONE).connections);
    tun.connect(flow(4_001, 9_000), PATIENCE)
        .expect("below the limit");
}

#[test]
fn in_a_namespace_without_ipv6_it_works_over_ipv4() {
    let world = World::new();
    world.netns.sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("1", "reset"));
    let _open = world.open(CLIENT, server.address());
    must_be_reset_and_counted(&world, &limiter, server.address());
}

/// While the connection before it is in TIME_WAIT, the kernel answers a SYN that no listener takes
/// with an ACK of that one (net/ipv4/tcp_ipv4.c, tcp_v4_rcv, `TCP_TW_SYN`). The client resets that,
/// and its next SYN gets the RST.
#[test]
fn a_client_that_takes_the_port_of_its_last_connection_again_is_reset_in_the_end() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("1", "reset"));
    let connect = || {
        world.netns.run(|| {
            let socket = client::bound_to((address(CLIENT), 4_000).into())?;
            socket.connect_timeout(&server.address().into(), PATIENCE)?;
            Ok::<_, std::io::Error>(TcpStream::from(socket))
        })
    };
    client::close_by_server(connect().expect("below the limit")).expect("close by the server");
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let _open = world.open(CLIENT, server.address());
    let error = connect().expect_err("beyond the limit");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    assert_eq!(limiter.zone(ZONE).rejected, 1);
}

#[test]
fn a_listen_with_an_address_leaves_the_others_alone() {
    let world = World::new();
    let server = world.serve(&["0.0.0.0:8080"]);
    let limiter = Limiter::start(
        &world,
        &[
            "--listen",
            "127.0.0.2:8080",
            "--limit",
            "1",
            "--action",
            "reset",
        ],
    );
    let covered = "127.0.0.2:8080".parse().expect("literal");
    let _one = world.open(CLIENT, covered);
    must_be_reset_and_counted(&world, &limiter, covered);
    let _free = world.open_many(CLIENT, server_at("127.0.0.3", server.port()), 3);
    assert_eq!(limiter.zone(ZONE).connections, 1);
}

fn server_at(host: &str, port: u16) -> SocketAddr {
    (address(host), port).into()
}

#[test]
fn without_listen_every_port_is_reset() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start(&world, &["--limit", "2", "--action", "reset"]);
    let other = server_at("127.0.0.1", 8081);
    let _open = [server.address(), other].map(|to| world.open(CLIENT, to));
    for to in [server.address(), other] {
        must_be_reset_and_counted(&world, &limiter, to);
    }
    // Where nobody listens, there is nothing to refuse.
    world.must_be_reset(CLIENT, server_at("127.0.0.1", 8082));
    assert_eq!(limiter.zone(ZONE).rejected, 2);
}
