//! Whether servers have room for more connections.

use std::{collections::BTreeMap, net::Shutdown};

use tests::{
    Limiter, Server, World,
    cgroup::Cgroup,
    client::{self, REFUSED_AFTER},
    port,
    prometheus::samples,
    settle,
    world::address,
};

use super::metrics;
use crate::{CLIENT, SERVER};

const CONFIG: &str = "
metrics 9145;
limit_conn_zone $binary_remote_addr zone=addr:1m;
limit_conn addr 1000;
server { server_name web; listen 8080; }
server { server_name leaks; listen 8081; }
server { server_name absent; listen 8082; }
";

fn told(world: &World) -> BTreeMap<String, f64> {
    samples(&port::get(&world.netns, metrics(), "/metrics").body)
        .into_iter()
        .collect()
}

/// What is read is remembered for some seconds.
#[track_caller]
fn must_become(world: &World, series: &str, value: f64) {
    settle(series, Some(value), || told(world).get(series).copied());
}

#[test]
fn queues_states_and_descriptors_of_servers_are_told() {
    let world = World::new();
    let full = Server::start(&world, &[SERVER], &["--paused", "--backlog", "4"]);
    let leaking = Server::start(
        &world,
        &["127.0.0.1:8081"],
        &["--hold", "--descriptors", "64"],
    );
    // Not in the cgroup that is attached.
    let other = Cgroup::new();
    let flags = ["--reuse-port", "--backlog", "100"];
    let _outside = Server::start_in(&world, Some(&other), &["127.0.0.2:8080"], &flags);
    let _limiter = Limiter::start_config(&world, CONFIG);
    let before = told(&world);
    assert_eq!(before["limiter_server_listeners{server=\"web\"}"], 1.0);
    assert!(!before.contains_key("limiter_server_listeners{server=\"absent\"}"));
    let overflows = "limiter_listen_overflows_total{}";
    assert_eq!(before[overflows], 0.0);

    let knock = || client::connect_here(address(CLIENT), full.address(), REFUSED_AFTER);
    let _waiting: Vec<_> = (0..5)
        .map(|_| world.netns.run(knock).expect("there is room"))
        .collect();
    world.netns.run(knock).expect_err("it is full");
    let leaked = world.open_many(CLIENT, leaking.address(), 40);
    for stream in &leaked {
        stream.shutdown(Shutdown::Write).expect("shut down");
    }
    must_become(
        &world,
        "limiter_server_accept_queue_connections{server=\"web\"}",
        5.0,
    );
    let now = told(&world);
    let of = |series: &str| now[series];
    assert_eq!(of("limiter_server_accept_queue_limit{server=\"web\"}"), 4.0);
    assert!(of(overflows) >= 1.0);
    must_become(
        &world,
        "limiter_server_sockets{server=\"leaks\",state=\"CLOSE_WAIT\"}",
        40.0,
    );
    must_become(
        &world,
        "limiter_server_sockets{server=\"web\",state=\"ESTABLISHED\"}",
        5.0,
    );
    let used = told(&world)["limiter_server_descriptors_used_ratio{server=\"leaks\"}"];
    assert!((0.65..=1.0).contains(&used), "{used}");
    drop(leaked);
    drop(leaking);
    settle("a server that is gone", false, || {
        told(&world).contains_key("limiter_server_listeners{server=\"leaks\"}")
    });
    assert!(told(&world)[overflows] >= 1.0, "what was lost stays lost");
}
