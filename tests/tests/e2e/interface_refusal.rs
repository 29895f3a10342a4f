//! What a client sees of a refusal on an interface, and that an interface changes no count.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
};

use limiter::api::ZoneStatus;
use tests::{
    Limiter, World, client,
    link::XdpMode,
    netns::NetNs,
    packet::Flow,
    settle,
    settle::PATIENCE,
    tun::Tun,
    veth::{self, Veth},
    world::address,
};

use crate::ZONE;

const RESET_2: [&str; 6] = ["--listen", "8080", "--limit", "2", "--action", "reset"];

/// One client holds two connections, and is told at once that there is no third, again and again:
/// by the listener's look-up first, by the interface from then on, if it can.
fn refused_at_once(
    world: &World,
    clients: &NetNs,
    limiter: &Limiter,
    from: IpAddr,
    to: SocketAddr,
) {
    const ATTEMPTS: u64 = 50;
    let before = limiter.zone(ZONE);
    let mut open = client::open_many(clients, from, to, 2);
    for _ in 0..ATTEMPTS {
        let refused = client::try_open(clients, from, to, PATIENCE);
        let kind = refused.expect_err("at the limit").kind();
        assert_eq!(kind, ErrorKind::ConnectionRefused, "from {from} to {to}");
    }
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (
            zone.rejected - before.rejected,
            zone.syn_retransmits - before.syn_retransmits,
            zone.connections
        ),
        (ATTEMPTS, 0, 2),
        "from {from} to {to}"
    );
    client::close(open.pop().expect("two")).expect("close");
    settle("connections", 1, || limiter.zone(ZONE).connections);
    open.push(client::open(clients, from, to));
    drop(open);
    settle("open", 0, || world.open_at(8080));
    settle("connections", 0, || limiter.zone(ZONE).connections);
}

#[test]
fn a_client_on_loopback_is_refused_at_once() {
    let world = World::new();
    let _server = world.serve(&["0.0.0.0:8080", "[::1]:8080"]);
    let limiter = Limiter::start(&world, &[&RESET_2[..], &["--interface", "lo"]].concat());
    let events = limiter.events();
    for (from, to) in [("127.0.0.5", "127.0.0.1:8080"), ("::1", "[::1]:8080")] {
        let to = to.parse().expect("literal");
        refused_at_once(&world, &world.netns, &limiter, address(from), to);
    }
    let hooks: BTreeSet<_> = events
        .rest(tests::limiter::QUIET)
        .into_iter()
        .map(|event| event.hook)
        .collect();
    assert!(hooks.contains("sk_lookup"), "{hooks:?}");
}

/// The driver of a veth cannot be relied upon to take the program's answer to the other end: there
/// the network stack answers.
#[test]
fn a_client_behind_a_veth_is_refused_at_once_in_either_mode() {
    for (word, mode) in [("native", XdpMode::Native), ("generic", XdpMode::Generic)] {
        let world = World::new();
        let veth = Veth::new(&world.netns);
        let _server = world.serve(&["10.0.0.1:8080", "[fd00::1]:8080"]);
        let limiter = Limiter::start_config(
            &world,
            &format!(
                "attach interface {} mode={word};
                 limit_conn_zone $remote_addr zone=addr:1m;
                 limit_conn addr 2;
                 limit_conn_action reset;
                 server {{ listen 8080; }}",
                veth::SERVERS
            ),
        );
        let programs = tests::link::xdp(&world.netns, veth::SERVERS);
        assert_eq!(programs.len(), 1, "{programs:?}");
        assert_eq!(programs[0].mode, mode);
        for to in ["10.0.0.1:8080", "[fd00::1]:8080"] {
            let to: SocketAddr = to.parse().expect("literal");
            let from = veth::client(to.ip(), 5);
            refused_at_once(&world, veth.clients(), &limiter, from, to);
        }
    }
}

#[test]
fn a_flood_counts_the_same_with_an_interface_and_without() {
    let with = flood(&["--interface", "front0"]);
    let without = flood(&[]);
    assert_eq!(with, without);
}

/// One source over its limit: distinct attempts, each repeated, and some of another source.
fn flood(flags: &[&str]) -> ZoneStatus {
    const ATTEMPTS: u32 = 20_000;
    let _heavy = crate::heavy();
    let world = World::new();
    let network = "10.0.0.1/8".parse().expect("literal");
    let tun = Tun::ethernet(&world.netns, "front0", &[network]);
    let server = world.serve(&["10.0.0.1:8080"]);
    let limiter = Limiter::start(
        &world,
        &[&["--listen", "8080", "--limit", "3"], flags].concat(),
    );
    let flow = |client: [u8; 4], number: u32| Flow {
        client: (
            client,
            1_024 + u16::try_from(number % 60_000).expect("fits"),
        )
            .into(),
        server: server.address(),
        isn: 0x2000_0000 + number,
    };
    for client in [[10, 5, 5, 5], [10, 5, 5, 6]] {
        for number in 60_000 - 1_024..60_000 - 1_021 {
            let connected = tun.connect(flow(client, number), PATIENCE);
            connected.expect("below the limit");
        }
    }
    settle("connections", 6, || limiter.zone(ZONE).connections);
    for number in 0..ATTEMPTS {
        let syn = flow([10, 5, 5, 5], number).syn();
        tun.send(&syn);
        if number % 4 == 0 {
            tun.send(&syn);
        }
        if number % 100 == 0 {
            tun.send(&flow([10, 5, 5, 6], number).syn());
        }
    }
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.rejected, zone.syn_retransmits),
        (
            u64::from(ATTEMPTS + ATTEMPTS / 100),
            u64::from(ATTEMPTS / 4)
        )
    );
    limiter.must_be_exact(ZONE);
    zone
}

#[test]
fn an_interface_without_ethernet_headers_is_refused() {
    let world = World::new();
    let _tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let failed = Limiter::try_start(
        &world,
        &world.control(),
        &["--limit", "2", "--interface", "tun0"],
    )
    .expect_err("the program would read nonsense");
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(
        failed
            .stderr
            .contains("its frames have no Ethernet header\nhint: leave it out"),
        "{}",
        failed.stderr
    );
}
