//! What kernels do that lack something. `cargo xtask verify` runs these tests on such kernels.

use std::{thread, time::Duration};

use tests::{
    Limiter, Server, World, client,
    outgoing::{Order, Outgoing, Way},
    settle,
    world::address,
};

use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

/// Before it, only `sock_ops` can ask to be told of a socket's changes of state: no iterator, and no
/// `connect4` (net/core/filter.c, `TCP_BPF_SOCK_OPS_CB_FLAGS`).
const ADOPTS: (u32, u32) = (6, 12);

#[test]
fn connections_open_before_start_are_not_counted_and_the_log_says_so() {
    if adopts() {
        return;
    }
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let early = world.open_many(CLIENT, server.address(), 5);
    let limiter = Limiter::start(&world, &LIMIT_10);
    assert_eq!(limiter.zone(ZONE).connections, 0);
    let log = limiter.stderr();
    assert!(
        log.contains("5 connections that were open before are not counted")
            && log.contains("older than Linux 6.12"),
        "{log}"
    );

    let late = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    // What holds no slot gives none back.
    for stream in early {
        client::close(stream).expect("close");
    }
    assert_eq!(limiter.connections_of(ZONE, address(CLIENT)), 10);
    world.must_be_refused(CLIENT, server.address());
    drop(late);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn what_a_new_server_finds_open_is_not_counted_and_the_log_says_so() {
    if adopts() {
        return;
    }
    const OTHER: &str = "127.0.0.1:8081";
    let zone = "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 5;";
    let config = |servers: &str| format!("{zone} {servers}");
    let world = World::new();
    let server = world.serve(&[SERVER, OTHER]);
    let other = OTHER.parse().expect("literal");
    let limiter = Limiter::start_config(&world, &config("server { listen 8080; }"));
    let counted = world.open_many(CLIENT, server.address(), 2);
    let free = world.open_many(CLIENT, other, 4);
    let reloaded = limiter.reload(
        &world,
        &config("server { listen 8080; } server { listen 8081; }"),
    );
    assert_eq!((reloaded.adopted, reloaded.missed), (0, 4));
    let log = limiter.stderr();
    assert!(
        log.contains("4 connections that were open before are not counted"),
        "{log}"
    );
    // What was counted stays so, and what comes now counts in both.
    assert_eq!(limiter.connections_of(ZONE, address(CLIENT)), 2);
    let late = world.open_many(CLIENT, other, 3);
    world.must_be_refused(CLIENT, other);
    world.must_be_refused(CLIENT, server.address());
    drop((free, counted, late));
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn what_is_open_to_an_upstream_is_not_counted_and_the_log_says_so() {
    if adopts() {
        return;
    }
    let world = World::new();
    let _server = Server::start_in(&world, None, &[SERVER], &[]);
    let server = SERVER.parse().expect("literal");
    let mut process = Outgoing::start(&world);
    assert_eq!(process.connect(3, server), (3, 0));
    let config = format!("upstream backend {{ server {SERVER} max_conns=4; }}");
    let limiter = Limiter::start_config(&world, &config);
    let active = || limiter.status().upstreams[0].servers[0].active;
    assert_eq!(active(), 0);
    let log = limiter.stderr();
    assert!(
        log.contains("3 connections that were open before are not counted"),
        "{log}"
    );
    assert_eq!(process.connect(5, server), (4, 1));
    process.obey(Order::Close);
    settle("connections to the upstream", 0, active);
}

#[test]
fn a_socket_that_found_no_route_keeps_its_slot_until_it_is_closed() {
    if adopts() {
        return;
    }
    // In a namespace without routes.
    let to = "192.0.2.1:80".parse().expect("literal");
    let world = World::new();
    let config = format!("upstream backend {{ server {to} max_conns=2; }}");
    let limiter = Limiter::start_config(&world, &config);
    let active = || limiter.status().upstreams[0].servers[0].active;
    let mut process = Outgoing::start(&world);
    let (count, way) = (2, Way::Kept);
    let ends = process.obey(Order::Connect { count, way, to });
    assert_eq!(ends.get("ENETUNREACH"), Some(&2), "{ends:?}");
    // Later kernels have given it up by then.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(active(), 2);
    process.obey(Order::Close);
    settle("connections to the upstream", 0, active);
}

/// Whether this kernel can count what was open before; says so, if it can.
fn adopts() -> bool {
    let adopts = version() >= ADOPTS;
    if adopts {
        eprintln!("not tried: this kernel can count connections that were open before");
    }
    adopts
}

fn version() -> (u32, u32) {
    let name = nix::sys::utsname::uname().expect("ask for the kernel's name");
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(['.', '-', '+'])
        .map_while(|number| number.parse().ok());
    let version = numbers.next().zip(numbers.next());
    version.unwrap_or_else(|| panic!("{release} has no version"))
}
