//! Many handshakes at once, none completed before all have begun.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::Barrier,
    thread::{self, available_parallelism},
};

use tests::{Limiter, World, packet::Flow, settle, settle::PATIENCE, tun::Tun};

use crate::{LIMIT_10, PORT, ZONE};

const SERVER: &str = "10.0.0.1:8080";

fn flows(server: SocketAddr, client: [u8; 4], count: u16) -> Vec<Flow> {
    (0..count)
        .map(|n| Flow {
            client: (client, 4_000 + n).into(),
            server,
            isn: u32::from(n) << 16,
        })
        .collect()
}

fn tun(world: &World) -> Tun {
    Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8)
}

#[test]
fn of_two_hundred_half_open_handshakes_ten_are_ever_established() {
    let world = World::new();
    let tun = tun(&world);
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let answered = tun.half_open(&flows(server.address(), [10, 1, 1, 1], 200), PATIENCE);
    assert_eq!(answered.len(), 200, "a SYN alone takes no slot");
    assert_eq!(limiter.zone(ZONE).keys, 0);

    for (flow, isn) in &answered {
        tun.send(&flow.ack(*isn));
    }
    settle("accepted", 10, || server.stat().accepted);
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.connections, zone.passed, zone.rejected, zone.excess),
        (10, 10, 190, 0)
    );
    assert_eq!(world.open_at(PORT), 10);

    // Data completes a handshake as well as a bare ACK does. It must not get in either.
    for (flow, isn) in &answered {
        tun.send(&flow.data(*isn, 0, b"x"));
    }
    assert_eq!(world.open_at(PORT), 10);
    assert_eq!(server.stat().accepted, 10);
    // The same attempts are not counted again, unless others have taken both places of their fingerprints: once
    // in some hundred runs one or two are.
    let rejected = limiter.zone(ZONE).rejected;
    assert!((190..=192).contains(&rejected), "{rejected}");
    // What has just been refused is known for certain.
    for (flow, isn) in &answered[190..] {
        tun.send(&flow.ack(*isn));
        let rejected = limiter.zone(ZONE).rejected;
        tun.send(&flow.data(*isn, 0, b"x"));
        assert_eq!(limiter.zone(ZONE).rejected, rejected);
    }

    // Those that got in are alive, and give their slots back.
    for (flow, _) in &answered {
        tun.send(&flow.rst_after(1));
    }
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(world.open_at(PORT), 0);
    limiter.must_be_exact(ZONE);
}

#[test]
fn handshakes_completed_from_several_threads_at_once_settle_at_ten() {
    let _heavy = crate::heavy();
    let world = World::new();
    let tun = tun(&world);
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let answered = tun.half_open(&flows(server.address(), [10, 1, 1, 1], 200), PATIENCE);
    assert_eq!(answered.len(), 200);
    complete_at_once(&tun, &answered);

    settle("connections", 10, || limiter.zone(ZONE).connections);
    settle("open", 10, || world.open_at(PORT));
    let zone = limiter.zone(ZONE);
    assert_eq!(zone.passed, 10);
    assert!(
        zone.excess < cpus(),
        "at most one per further CPU: {zone:?}"
    );
    assert_eq!(zone.rejected, 190, "every other attempt, once: {zone:?}");
    settle("accepted", 10 + zone.excess, || server.stat().accepted);
    limiter.must_be_exact(ZONE);
}

#[test]
fn with_two_limits_a_lost_race_leaves_no_charge_behind() {
    let _heavy = crate::heavy();
    let world = World::new();
    let tun = tun(&world);
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(
        &world,
        "limit_conn_zone $binary_remote_addr zone=client:1m;
        limit_conn_zone $server_name zone=server:1m;
        server { server_name web; listen 8080; limit_conn client 10; limit_conn server 15; }",
    );
    let mut attempts = flows(server.address(), [10, 1, 1, 1], 100);
    attempts.extend(flows(server.address(), [10, 1, 1, 2], 100));
    let answered = tun.half_open(&attempts, PATIENCE);
    assert_eq!(answered.len(), 200);
    complete_at_once(&tun, &answered);

    settle("connections by server", 15, || {
        limiter.zone("server").connections
    });
    settle("open", 15, || world.open_at(PORT));
    assert_eq!(limiter.zone("client").connections, 15);
    let keys = limiter.top("client", 10);
    assert!(keys.iter().all(|key| key.connections <= 10), "{keys:?}");
    server.command("reset");
    for zone in ["client", "server"] {
        settle(zone, 0, || limiter.zone(zone).connections);
        assert_eq!(limiter.zone(zone).keys, 0);
        limiter.must_be_exact(zone);
    }
}

fn complete_at_once(tun: &Tun, answered: &[(Flow, u32)]) {
    let threads = available_parallelism()
        .expect("number of CPUs")
        .get()
        .max(2);
    // Neighbours go to different threads, so that the limit is reached by all of them together.
    let share = |thread: usize| answered.iter().skip(thread).step_by(threads);
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        for thread in 0..threads {
            let start = &start;
            scope.spawn(move || {
                let packets: Vec<_> = share(thread).map(|(flow, isn)| flow.ack(*isn)).collect();
                start.wait();
                for packet in packets {
                    tun.send(&packet);
                }
            });
        }
    });
    let clients: HashSet<_> = answered.iter().map(|(flow, _)| flow.client).collect();
    assert_eq!(clients.len(), answered.len(), "every attempt is another");
}

fn cpus() -> u64 {
    available_parallelism().expect("number of CPUs").get() as u64
}
