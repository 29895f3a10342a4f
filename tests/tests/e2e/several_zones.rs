//! Several limits on one server: all are charged, or none.

use std::net::TcpStream;

use tests::{Limiter, World, client, settle, world::address};

use crate::{CLIENT, PORT, SERVER};

const OTHER: &str = "127.0.0.6";
const TWO_ZONES: &str = "limit_conn_zone $binary_remote_addr zone=client:1m;
limit_conn_zone $server_name zone=server:1m;
server { server_name web; listen 8080; limit_conn client 10; limit_conn server 15; }";

#[test]
fn ten_per_client_and_fifteen_per_server_are_fifteen_in_all() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, TWO_ZONES);
    let connections = || ["client", "server"].map(|zone| limiter.zone(zone).connections);

    let mut first = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    let mut second = world.open_many(OTHER, server.address(), 5);
    world.must_be_refused(OTHER, server.address());
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(world.open_at(PORT), 15);
    assert_eq!(connections(), [15, 15]);
    assert_eq!(limiter.connections_of("client", address(CLIENT)), 10);
    assert_eq!(limiter.connections_of("client", address(OTHER)), 5);
    // The refused second client has no charge left over: three slots free up, three are taken.
    close(first.split_off(7));
    settle("connections", [12, 12], connections);
    second.extend(world.open_many(OTHER, server.address(), 3));
    world.must_be_refused(OTHER, server.address());
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(connections(), [15, 15]);

    close(first);
    close(second);
    settle("connections", [0, 0], connections);
    assert_eq!(
        ["client", "server"].map(|zone| limiter.zone(zone).keys),
        [0, 0]
    );
    let again = world.open_many(OTHER, server.address(), 10);
    world.must_be_refused(OTHER, server.address());
    drop(again);
    settle("connections", [0, 0], connections);
    for zone in ["client", "server"] {
        limiter.must_be_exact(zone);
    }
}

#[test]
fn a_refusal_is_counted_in_the_zone_that_refused() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, TWO_ZONES);
    let rejected = || ["client", "server"].map(|zone| limiter.zone(zone).rejected);
    let _first = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(rejected(), [1, 0]);
    let _second = world.open_many(OTHER, server.address(), 5);
    world.must_be_refused(OTHER, server.address());
    assert_eq!(rejected(), [1, 1]);
}

#[test]
fn one_zone_counts_over_all_servers_that_use_it() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start_config(
        &world,
        "limit_conn_zone $binary_remote_addr zone=shared:1m;
        limit_conn shared 10;
        server { server_name a; listen 8080; }
        server { server_name b; listen 8081; limit_conn shared 4; }",
    );
    let b = "127.0.0.1:8081".parse().expect("literal");
    let _at_b = world.open_many(CLIENT, b, 4);
    world.must_be_refused(CLIENT, b);
    let _at_a = world.open_many(CLIENT, server.address(), 6);
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(limiter.zone("shared").connections, 10);
    assert_eq!(limiter.zone("shared").keys, 1);
}

#[test]
fn keys_may_be_made_of_every_variable() {
    let world = World::new();
    let server = world.serve(&["0.0.0.0:8080", "0.0.0.0:8081"]);
    let limiter = Limiter::start_config(
        &world,
        "limit_conn_zone $server_port zone=port:1m;
        limit_conn_zone $remote_addr$server_addr zone=pair:1m;
        limit_conn_zone everything zone=all:1m;
        server { server_name web; listen 8080 ; listen 8081;
            limit_conn port 5; limit_conn pair 2; limit_conn all 6; }",
    );
    assert_eq!(server.port(), PORT);
    let at = |text: &str| text.parse().expect("literal");
    let _one = world.open_many(CLIENT, at("127.0.0.1:8080"), 2);
    world.must_be_refused(CLIENT, at("127.0.0.1:8080"));
    let _two = world.open_many(CLIENT, at("127.0.0.2:8080"), 2);
    let _three = world.open(OTHER, at("127.0.0.1:8080"));
    // Five on the port.
    world.must_be_refused(OTHER, at("127.0.0.2:8080"));
    let _four = world.open(OTHER, at("127.0.0.2:8081"));
    // Six in all.
    world.must_be_refused(OTHER, at("127.0.0.3:8081"));

    let keys = ["port", "pair", "all"].map(|zone| limiter.zone(zone).keys);
    assert_eq!(keys, [2, 4, 1]);
    let rejected = ["port", "pair", "all"].map(|zone| limiter.zone(zone).rejected);
    assert_eq!(rejected, [1, 1, 1]);
    let port = &limiter.top("port", 1)[0];
    assert_eq!((port.parts.server_port, port.connections), (Some(8080), 5));
    let pair = &limiter.top("pair", 1)[0];
    assert_eq!(pair.parts.remote_addr, Some(address(CLIENT)));
    assert!(pair.parts.server_addr.is_some() && pair.parts.server_port.is_none());
}

#[test]
fn a_server_with_limits_of_its_own_inherits_none() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start_config(
        &world,
        "limit_conn_zone $binary_remote_addr zone=strict:1m;
        limit_conn_zone $binary_remote_addr zone=loose:1m;
        limit_conn strict 1;
        server { server_name heir; listen 8080; }
        server { server_name own; listen 8081; limit_conn loose 3; }",
    );
    let _one = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    let own = "127.0.0.1:8081".parse().expect("literal");
    let _three = world.open_many(CLIENT, own, 3);
    world.must_be_refused(CLIENT, own);
    assert_eq!(limiter.zone("strict").connections, 1);
    assert_eq!(limiter.zone("loose").connections, 3);
}

fn close(streams: Vec<TcpStream>) {
    for stream in streams {
        client::close(stream).expect("close");
    }
}
