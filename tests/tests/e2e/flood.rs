//! What an attacker sends: forged SYNs, and refusals by the tens of thousands.

use std::{collections::HashMap, net::SocketAddr, thread::sleep, time::Duration};

use limiter::api::Event;
use nix::sys::signal::Signal;
use tests::{
    Limiter, Server, World, limiter::QUIET, mib, packet::Flow, settle, settle::PATIENCE, tun::Tun,
    world::address,
};

use crate::{LIMIT_10, PORT, ZONE};

const SERVER: &str = "10.0.0.1:8080";
const CLIENT: [u8; 4] = [10, 5, 5, 5];

fn tun(world: &World) -> Tun {
    Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8)
}

/// Attempts of one client, no two alike.
fn attempts(server: SocketAddr, count: u32) -> impl Iterator<Item = Flow> {
    (0..count).map(move |n| Flow {
        client: (
            CLIENT,
            u16::try_from(1_024 + n % 60_000).expect("below 65536"),
        )
            .into(),
        server,
        isn: 0x1000_0000 + n,
    })
}

#[test]
fn forged_syns_make_no_key_and_do_not_keep_the_real_client_out() {
    let _heavy = crate::heavy();
    let world = World::new();
    world.netns.sysctl("net/ipv4/tcp_syncookies", "1");
    world.netns.sysctl("net/ipv4/tcp_max_syn_backlog", "128");
    let tun = tun(&world);
    let mut server = Server::start(&world, &[SERVER], &["--backlog", "128"]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    for flow in attempts(server.address(), 100_000) {
        tun.send(&flow.syn());
    }
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.keys, zone.connections, zone.passed, zone.rejected),
        (0, 0, 0, 0)
    );
    assert_eq!(limiter.top(ZONE, 10), []);
    assert_eq!(mib::counter(&world.netns, "Tcp", "InCsumErrors"), 0);

    tun.drain();
    let real = Flow {
        client: (CLIENT, 1_000).into(),
        server: server.address(),
        isn: 7,
    };
    let isn = tun
        .connect(real, PATIENCE)
        .expect("an answer to the first SYN of the real client");
    tun.send(&real.data(isn, 0, b"x"));
    settle("accepted", 1, || server.stat().accepted);
    assert_eq!(limiter.connections_of(ZONE, CLIENT.into()), 1);
    limiter.must_be_exact(ZONE);
}

#[test]
fn refusals_by_the_tens_of_thousands_are_counted_exactly_and_reported_once_a_second() {
    const ROUNDS: u32 = 3;
    const ROUND: u32 = 50_000;
    let _heavy = crate::heavy();
    let world = World::new();
    let tun = tun(&world);
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    fill(&tun, server.address(), &[CLIENT], 10);
    settle("connections", 10, || limiter.zone(ZONE).connections);

    let events = limiter.events();
    let mut flood = attempts(server.address(), ROUNDS * ROUND + 1).skip(1);
    for _ in 1..ROUNDS {
        for flow in flood.by_ref().take(ROUND as usize) {
            tun.send(&flow.syn());
        }
        sleep(Duration::from_millis(300));
    }
    for flow in flood.by_ref().take(ROUND as usize - 1) {
        tun.send(&flow.syn());
    }
    // The next event, a second later, tells how many were not reported.
    sleep(Duration::from_millis(1_200));
    for flow in flood {
        tun.send(&flow.syn());
    }
    let sent = u64::from(ROUNDS * ROUND);

    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.rejected, zone.syn_retransmits, zone.connections),
        (sent, 0, 10)
    );
    assert_eq!(mib::counter(&world.netns, "Tcp", "InCsumErrors"), 0);
    assert_eq!(limiter.top(ZONE, 1)[0].rejected, sent);

    let reported = events.rest(QUIET);
    assert!(reported.len() >= 2, "{reported:?}");
    assert_eq!(told(&reported), sent, "{reported:?}");
    at_most_one_a_second(&reported);
    let status = limiter.status().events;
    assert_eq!(
        (status.sent, status.lost, status.suppressed),
        (reported.len() as u64, 0, sent - reported.len() as u64)
    );
}

#[test]
fn what_the_ring_cannot_hold_is_counted_as_lost_and_the_kernel_goes_on_without_the_daemon() {
    const CLIENTS: u16 = 3_500;
    // Each round is one event a client. The ring is a MiB, and an event is 80 bytes in it.
    const ROUNDS: u32 = 6;
    let _heavy = crate::heavy();
    let world = World::new();
    let tun = tun(&world);
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &["--listen", "8080", "--limit", "1"]);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let [high, low] = n.to_be_bytes();
            [10, 9, high, low]
        })
        .collect();
    fill(&tun, server.address(), &clients, 1);
    settle("accepted", u64::from(CLIENTS), || server.stat().accepted);
    settle("connections", u64::from(CLIENTS), || {
        limiter.zone(ZONE).connections
    });
    let events = limiter.events();

    limiter.signal(Signal::SIGSTOP);
    for round in 0..ROUNDS {
        for client in &clients {
            let attempt = Flow {
                client: (*client, 6_000).into(),
                server: server.address(),
                isn: round,
            };
            tun.send(&attempt.syn());
        }
        sleep(Duration::from_millis(1_100));
    }
    assert_eq!(
        world.open_at(PORT),
        u64::from(CLIENTS),
        "enforced while the daemon stands still"
    );
    limiter.signal(Signal::SIGCONT);

    let sent = u64::from(CLIENTS) * u64::from(ROUNDS);
    assert_eq!(limiter.zone(ZONE).rejected, sent);
    let received = events.rest(QUIET).len() as u64;
    let status = limiter.status().events;
    assert!(status.lost > 0, "{status:?}");
    assert_eq!(
        status.sent + status.lost + status.suppressed,
        sent,
        "{status:?}"
    );
    assert_eq!(received + events.missed(), status.sent, "{status:?}");
    assert_eq!(server.stat().accepted, u64::from(CLIENTS));
    limiter.must_be_exact(ZONE);
}

#[test]
fn garbage_at_the_listener_makes_no_key_and_counts_nothing() {
    let world = World::new();
    let tun = tun(&world);
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    for flow in attempts(server.address(), 1_000) {
        tun.send(&flow.rst());
        // ACKs that complete nothing.
        tun.send(&flow.ack(1));
        let mut cut = flow.syn();
        cut.truncate(30);
        tun.send(&cut);
    }
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.keys, zone.passed, zone.rejected, zone.exhausted),
        (0, 0, 0, 0)
    );
    assert_eq!(limiter.status().events.sent, 0);
    assert_eq!(limiter.connections_of(ZONE, address("10.5.5.5")), 0);
}

/// Establishes `each` connections of every client.
fn fill(tun: &Tun, server: SocketAddr, clients: &[[u8; 4]], each: u16) {
    let flows: Vec<_> = clients
        .iter()
        .flat_map(|client| {
            (0..each).map(|n| Flow {
                client: (*client, 100 + n).into(),
                server,
                isn: u32::from(n),
            })
        })
        .collect();
    // The device holds 500 packets that nobody has read.
    for some in flows.chunks(200) {
        let answered = tun.half_open(some, PATIENCE);
        assert_eq!(answered.len(), some.len());
        for (flow, isn) in answered {
            tun.send(&flow.ack(isn));
        }
    }
}

/// Refusals that these events tell of.
pub fn told(events: &[Event]) -> u64 {
    events.iter().map(|event| 1 + event.suppressed).sum()
}

fn at_most_one_a_second(events: &[Event]) {
    // The budget goes by the coarse clock, which stands still between two ticks.
    const TICK_US: i64 = 50_000;
    let mut last = HashMap::new();
    for event in events {
        let now = event.time.as_microsecond();
        if let Some(before) = last.insert(event.remote_addr, now) {
            assert!(
                now - before > 1_000_000 - TICK_US,
                "two events of one key within a second: {events:?}"
            );
        }
    }
}
