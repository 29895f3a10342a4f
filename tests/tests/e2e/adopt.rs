//! Connections that were open before the limiter was.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

use nix::sys::signal::Signal;
use tests::{
    Limiter, Server, World,
    churn::{Churn, Ending, churn},
    client,
    programs::Programs,
    settle,
    settle::PATIENCE,
    sockdiag,
    tun::Tun,
    world::address,
};

use crate::{CLIENT, LIMIT_10, PORT, SERVER, ZONE};

#[test]
fn connections_open_before_start_are_counted_and_released_when_they_close() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let mut early = world.open_many(CLIENT, server.address(), 5);
    let limiter = Limiter::start(&world, &LIMIT_10);
    assert_eq!(limiter.zone(ZONE).connections, 5);
    assert_eq!(limiter.connections_of(ZONE, address(CLIENT)), 5);
    let late = world.open_many(CLIENT, server.address(), 5);
    world.must_be_refused(CLIENT, server.address());

    client::reset(early.pop().expect("five are open")).expect("reset");
    client::close_by_server(early.pop().expect("four are open")).expect("close by the server");
    for stream in early {
        client::close(stream).expect("close");
    }
    settle("connections", 5, || limiter.zone(ZONE).connections);
    drop(late);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(limiter.zone(ZONE).keys, 0);
    limiter.must_be_exact(ZONE);
}

#[test]
fn more_connections_than_the_limit_are_adopted_and_left_alone() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let mut early = world.open_many(CLIENT, server.address(), 12);
    let limiter = Limiter::start(&world, &LIMIT_10);
    assert_eq!(limiter.zone(ZONE).connections, 12);
    world.must_be_refused(CLIENT, server.address());
    for stream in &mut early {
        echo(stream);
    }
    drop(early.split_off(10));
    settle("connections", 10, || limiter.zone(ZONE).connections);
    world.must_be_refused(CLIENT, server.address());
    drop(early.pop());
    settle("connections", 9, || limiter.zone(ZONE).connections);
    let _next = world.open(CLIENT, server.address());
    limiter.must_be_exact(ZONE);
}

#[test]
fn connections_are_adopted_in_whatever_state_they_are() {
    let world = World::new();
    let mut server = Server::start(&world, &[SERVER], &["--hold"]);
    let mut early = world.open_many(CLIENT, server.address(), 3);
    // CLOSE_WAIT and FIN_WAIT2 at the server.
    early[0].shutdown(Shutdown::Write).expect("half-close");
    client::half_close_by_server(&mut early[1]).expect("half-close by the server");
    settle("states", true, || {
        let mut states: Vec<_> = sockdiag::connections(&world.netns, PORT)
            .iter()
            .map(|socket| socket.state)
            .collect();
        states.sort_unstable();
        use sockdiag::state::{CLOSE_WAIT, ESTABLISHED, FIN_WAIT2};
        states == [ESTABLISHED, FIN_WAIT2, CLOSE_WAIT]
    });
    // One more that nobody has accepted yet.
    server.command("pause");
    let queued = world.netns.run(|| {
        client::connect_here(address(CLIENT), server.address(), PATIENCE).expect("connect")
    });
    let limiter = Limiter::start(&world, &LIMIT_10);
    assert_eq!(limiter.zone(ZONE).connections, 4);
    drop((early, queued));
    server.kill();
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn connections_of_ipv6_and_mapped_clients_are_adopted_under_their_real_addresses() {
    let world = World::new();
    let _server = world.serve(&["[::]:8080"]);
    let _mapped = world.open_many(CLIENT, SERVER.parse().expect("literal"), 2);
    let _v6 = world.open_many("::1", "[::1]:8080".parse().expect("literal"), 3);
    let limiter = Limiter::start(&world, &LIMIT_10);
    assert_eq!(limiter.connections_of(ZONE, address(CLIENT)), 2);
    assert_eq!(limiter.connections_of(ZONE, address("::1")), 3);
    assert_eq!(limiter.zone(ZONE).connections, 5);
}

#[test]
fn after_kill_9_the_next_start_adopts_what_is_open_and_trips_over_nothing() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let mut open = world.open_many(CLIENT, server.address(), 5);
    let (status, _) = limiter.end(Signal::SIGKILL);
    assert!(!status.success());
    for stream in &mut open {
        echo(stream);
    }
    open.extend(world.open_many(CLIENT, server.address(), 2));

    let limiter = Limiter::start(&world, &LIMIT_10);
    assert_eq!(
        Programs::attached(world.cgroup.path()),
        Programs::ONE_LIMITER
    );
    assert_eq!(limiter.zone(ZONE).connections, 7);
    open.extend(world.open_many(CLIENT, server.address(), 3));
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
}

#[test]
fn after_kill_9_in_the_middle_of_traffic_the_count_is_right_again() {
    let _heavy = crate::heavy();
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let plan = Churn {
        connections: 20_000,
        threads: 4,
        from: (1..=8).map(|n| [127, 0, 1, n].into()).collect(),
        to: vec![server.address()],
        endings: Ending::ALL.to_vec(),
        patience: PATIENCE,
    };
    let limiter = Limiter::start(&world, &LIMIT_10);
    let limiter = thread::scope(|scope| {
        let traffic = scope.spawn(|| world.netns.run(|| churn(&plan)));
        settle("traffic", true, || limiter.zone(ZONE).passed > 1_000);
        limiter.end(Signal::SIGKILL);
        let limiter = Limiter::start(&world, &LIMIT_10);
        let report = traffic.join().expect("the traffic");
        assert_eq!(report.failures, Vec::<String>::new());
        limiter
    });
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.rejected), (0, 0));
    limiter.must_be_exact(ZONE);
}

fn echo(stream: &mut TcpStream) {
    stream.write_all(b"x").expect("write");
    let mut answer = [0];
    stream.read_exact(&mut answer).expect("read");
    assert_eq!(&answer, b"x");
}

/// More than the kernel is asked about at a time.
#[test]
fn many_thousands_of_connections_are_adopted() {
    const EACH: u16 = 8_500;
    let _heavy = crate::heavy();
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let options = ["--paused", "--backlog", "16384"];
    let listen = ["10.0.0.1:8080", "10.0.0.1:8081"];
    let _server = Server::start_in(&world, Some(&world.cgroup), &listen, &options);
    for server in listen {
        tun.connect_each(EACH, server.parse().expect("literal"));
    }
    assert_eq!(
        world.open_at(8080) + world.open_at(8081),
        2 * u64::from(EACH)
    );

    let flags = ["--listen", "8080-8081", "--limit", "10"];
    let limiter = Limiter::start(&world, &flags);
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.connections, zone.keys),
        (2 * u64::from(EACH), u64::from(EACH))
    );
    limiter.must_say("adopted 17000 connections");
    let said = limiter.stderr();
    assert!(!said.contains("not counted"), "{said}");
}
