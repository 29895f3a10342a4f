//! The ground the other tests stand on, without a limiter.

use std::time::Duration;

use tests::{
    Server, World,
    churn::{Churn, Ending, churn},
    client, mib,
    nginx::Nginx,
    packet::Flow,
    peer::Clients,
    programs::Programs,
    settle,
    settle::PATIENCE,
    sockdiag::{self, state},
    tun::Tun,
    world::address,
};

#[test]
fn a_world_has_a_server_and_clients_and_nothing_attached() {
    let world = World::new();
    let mut server = world.serve(&["127.0.0.1:8080"]);
    let clients = world.open_many("127.0.0.5", server.address(), 5);
    assert_eq!(world.open_at(8080), 5);
    assert_eq!(
        sockdiag::count_from(&world.netns, 8080, address("127.0.0.5")),
        5
    );
    drop(clients);
    settle("open connections", 0, || world.open_at(8080));
    assert_eq!(server.stat().accepted, 5);
    assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
}

#[test]
fn a_remnant_of_a_closed_connection_is_not_a_connection() {
    let world = World::new();
    let mut server = world.serve(&["127.0.0.1:8080"]);
    let client = world.open("127.0.0.5", server.address());
    // The server closes, the client does not: FIN_WAIT2 without a socket.
    server.command("close");
    settle("open connections", 0, || world.open_at(8080));
    let remnant = sockdiag::dump(&world.netns)
        .into_iter()
        .find(|socket| socket.local.port() == 8080 && socket.state == state::FIN_WAIT2)
        .expect("what is left of the connection");
    assert!(remnant.remnant);
    drop(client);
}

#[test]
fn a_dual_stack_listener_and_ipv6_addresses_work() {
    let world = World::new();
    world
        .netns
        .add_loopback_v6("fd00::7".parse().expect("literal"));
    let server = world.serve(&["[::]:8080"]);
    let v4 = "127.0.0.1:8080".parse().expect("literal");
    let v6 = "[::1]:8080".parse().expect("literal");
    let _mapped = world.open("127.0.0.5", v4);
    let _plain = world.open("fd00::7", v6);
    let remotes: Vec<_> = sockdiag::connections(&world.netns, server.port())
        .iter()
        .map(|socket| socket.remote.ip())
        .collect();
    assert!(remotes.contains(&address("127.0.0.5")) && remotes.contains(&address("fd00::7")));
}

#[test]
fn a_forged_handshake_establishes_a_connection() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let mut server = world.serve(&["10.0.0.1:8080"]);
    let flow = Flow {
        client: "10.7.7.7:4000".parse().expect("literal"),
        server: server.address(),
        isn: 1,
    };
    let (flow, isn) = tun.half_open(&[flow], PATIENCE).pop().expect("a SYN-ACK");
    assert_eq!(world.open_at(8080), 0);
    tun.send(&flow.ack(isn));
    settle("accepted", 1, || server.stat().accepted);
    assert_eq!(world.open_at(8080), 1);
    tun.send(&flow.rst());
    settle("open connections", 0, || world.open_at(8080));
    assert_eq!(mib::counter(&world.netns, "Tcp", "InCsumErrors"), 0);
}

#[test]
fn without_a_limiter_two_hundred_half_open_handshakes_all_establish() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let mut server = world.serve(&["10.0.0.1:8080"]);
    let flows: Vec<_> = (0..200)
        .map(|n| Flow {
            client: ([10, 1, 1, 1], 4000 + n).into(),
            server: server.address(),
            isn: u32::from(n) << 16,
        })
        .collect();
    let answered = tun.half_open(&flows, PATIENCE);
    assert_eq!(answered.len(), 200);
    for (flow, isn) in &answered {
        tun.send(&flow.ack(*isn));
    }
    settle("accepted", 200, || server.stat().accepted);
    assert_eq!(world.open_at(8080), 200);
}

#[test]
fn short_connections_end_in_all_four_ways() {
    let world = World::new();
    let mut server = world.serve(&["127.0.0.1:8080", "127.0.0.1:8081"]);
    let plan = Churn {
        connections: 2_000,
        threads: 4,
        from: (1..=4).map(|n| [127, 0, 1, n].into()).collect(),
        to: vec![server.address(), "127.0.0.1:8081".parse().expect("literal")],
        endings: Ending::ALL.to_vec(),
        patience: PATIENCE,
    };
    let report = world.netns.run(|| churn(&plan));
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.done, 2_000);
    settle("open connections", 0, || {
        world.open_at(8080) + world.open_at(8081)
    });
    assert_eq!(server.stat().accepted, 2_000);
}

#[test]
fn clients_may_be_in_the_cgroup_too() {
    let world = World::new();
    let server = world.serve(&["127.0.0.1:8080"]);
    let clients = Clients::open(&world, "127.0.0.5", server.address(), 3);
    assert_eq!((clients.established, clients.timed_out), (3, 0));
    drop(clients);
    settle("open connections", 0, || world.open_at(8080));
}

#[test]
fn a_killed_server_leaves_no_connection_behind() {
    let world = World::new();
    let server = Server::start(&world, &["127.0.0.1:8080"], &["--paused"]);
    let (from, to) = (address("127.0.0.5"), server.address());
    let queued: Vec<_> = world.netns.run(|| {
        (0..5)
            .map(|_| client::connect_here(from, to, PATIENCE).expect("connect"))
            .collect()
    });
    assert_eq!(world.open_at(8080), 5);
    server.kill();
    settle("open connections", 0, || world.open_at(8080));
    drop(queued);
}

#[test]
fn an_unanswered_client_gives_up() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    // Nobody is behind the device unless the test is.
    world.must_be_refused("10.0.0.1", "10.9.9.9:80".parse().expect("literal"));
    assert!(tun.receive(Duration::ZERO).is_some_and(|seen| seen.syn));
}

#[test]
fn nginx_serves_in_the_cgroup_and_keeps_connections_alive() {
    let world = World::new();
    let nginx = Nginx::start(&world, "127.0.0.1:8080".parse().expect("literal"));
    let mut kept: Vec<_> = (0..3)
        .map(|_| {
            nginx
                .get(&world, address("127.0.0.5"), PATIENCE)
                .expect("an answer")
        })
        .collect();
    tests::nginx::get_again(&mut kept[0]).expect("an answer");
    settle("open connections", 3, || world.open_at(8080));
}
