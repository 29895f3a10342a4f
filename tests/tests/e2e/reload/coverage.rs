//! What a policy newly covers is counted from the moment it is in force; what it covers no more is
//! released.

use limiter::api::ZoneChange;
use tests::{Limiter, World, settle, world::address};

use super::change;
use crate::{CLIENT, SERVER};

const OTHER: &str = "127.0.0.1:8081";

const ONE_SERVER: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;
    server { listen 8080; limit_conn addr 5; }";

#[test]
fn a_new_zone_counts_what_is_open() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, ONE_SERVER);
    let mut open = world.open_many(CLIENT, server.address(), 3);
    open.extend(world.open_many("127.0.0.6", server.address(), 4));
    let reloaded = limiter.reload(
        &world,
        "limit_conn_zone $binary_remote_addr zone=addr:1m;
        limit_conn_zone $server_port zone=port:1m;
        server { listen 8080; limit_conn addr 5; limit_conn port 7; }",
    );
    assert_eq!(change(&reloaded, "addr"), ZoneChange::Kept);
    assert_eq!(change(&reloaded, "port"), ZoneChange::New);
    assert_eq!(reloaded.adopted, 0, "all were counted already");
    let (addr, port) = (limiter.zone("addr"), limiter.zone("port"));
    assert_eq!((addr.connections, port.connections), (7, 7));
    assert_eq!((addr.passed, port.passed), (7, 0), "nobody decided again");
    world.must_be_refused("127.0.0.7", server.address());
    drop(open.split_off(3));
    settle("connections", 3, || limiter.zone("port").connections);
    let _next = world.open("127.0.0.7", server.address());

    // And back: the zone is gone, with what it has counted.
    let reloaded = limiter.reload(&world, ONE_SERVER);
    assert_eq!(change(&reloaded, "port"), ZoneChange::Removed);
    assert_eq!(limiter.cli(&["zones", "port"]).code, Some(1));
    assert_eq!(limiter.zone("addr").connections, 4);
    drop(open);
    settle("connections", 1, || limiter.zone("addr").connections);
    limiter.must_be_exact("addr");
}

#[test]
fn a_new_server_counts_what_is_open() {
    let world = World::new();
    let server = world.serve(&[SERVER, OTHER]);
    let other = OTHER.parse().expect("literal");
    let limiter = Limiter::start_config(&world, ONE_SERVER);
    let open = world.open_many(CLIENT, server.address(), 2);
    let free = world.open_many(CLIENT, other, 4);
    assert_eq!(limiter.zone("addr").connections, 2);
    let reloaded = limiter.reload(
        &world,
        "limit_conn_zone $binary_remote_addr zone=addr:1m;
        limit_conn addr 5;
        server { listen 8081; }
        server { listen 8080; }",
    );
    assert_eq!((reloaded.adopted, reloaded.missed), (4, 0));
    assert_eq!(limiter.connections_of("addr", address(CLIENT)), 6);
    world.must_be_refused(CLIENT, other);
    world.must_be_refused(CLIENT, server.address());
    drop(free);
    settle("connections", 2, || limiter.zone("addr").connections);
    let again = world.open_many(CLIENT, other, 3);

    // The server is gone: its connections count no more, and nobody is refused there.
    limiter.reload(&world, ONE_SERVER);
    assert_eq!(limiter.zone("addr").connections, 2);
    let _free = world.open_many(CLIENT, other, 20);
    drop(again);
    assert_eq!(limiter.zone("addr").connections, 2);
    drop(open);
    settle("connections", 0, || limiter.zone("addr").connections);
    limiter.must_be_exact("addr");
}

#[test]
fn a_zone_with_another_key_starts_afresh_with_what_is_open_and_the_log_says_so() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, ONE_SERVER);
    let mut open = world.open_many("127.0.1.1", server.address(), 3);
    open.extend(world.open_many("127.0.1.2", server.address(), 2));
    let reloaded = limiter.reload(
        &world,
        "limit_conn_zone $binary_remote_addr zone=addr:1m v4_prefix=24;
        server { listen 8080; limit_conn addr 5; }",
    );
    assert_eq!(change(&reloaded, "addr"), ZoneChange::OtherKey);
    let said = "zone \"addr\": has another key, starts afresh with the connections that are open";
    limiter.must_say(said);
    let zone = limiter.zone("addr");
    assert_eq!((zone.keys, zone.connections, zone.passed), (1, 5, 0));
    world.must_be_refused("127.0.1.3", server.address());
    drop(open);
    settle("connections", 0, || limiter.zone("addr").connections);
    limiter.must_be_exact("addr");
}

#[test]
fn servers_in_another_order_are_the_same_servers() {
    let world = World::new();
    let server = world.serve(&[SERVER, OTHER]);
    let other = OTHER.parse().expect("literal");
    let zone = "limit_conn_zone $server_name zone=name:1m; limit_conn name 4;";
    let (first, second) = (
        "server { server_name first; listen 8080; }",
        "server { server_name second; listen 8081; }",
    );
    let limiter = Limiter::start_config(&world, &[zone, first, second].join("\n"));
    let open = world.open_many(CLIENT, server.address(), 4);
    let _more = world.open_many(CLIENT, other, 1);
    let names = || -> Vec<_> {
        let top = limiter.top("name", 10).into_iter();
        top.map(|key| (key.parts.server_name, key.connections))
            .collect()
    };
    let before = [
        (Some("first".to_owned()), 4),
        (Some("second".to_owned()), 1),
    ];
    assert_eq!(names(), before);
    let third = "server { server_name third; listen 9090; }";
    limiter.reload(&world, &[zone, third, second, first].join("\n"));
    assert_eq!(names(), before);
    world.must_be_refused(CLIENT, server.address());

    // Under another name it is another server.
    let renamed = "server { server_name renamed; listen 8080; }";
    limiter.reload(&world, &[zone, second, renamed].join("\n"));
    let after = [
        (Some("renamed".to_owned()), 4),
        (Some("second".to_owned()), 1),
    ];
    assert_eq!(names(), after);
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 1, || limiter.zone("name").connections);
    limiter.must_be_exact("name");
}

#[test]
fn an_exemption_holds_for_what_is_open_and_ends_for_it() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, ONE_SERVER);
    let open = world.open_many(CLIENT, server.address(), 5);
    let exempt = format!("{ONE_SERVER} limit_conn_exempt {CLIENT};");
    limiter.reload(&world, &exempt);
    assert_eq!(limiter.zone("addr").connections, 0);
    let more = world.open_many(CLIENT, server.address(), 3);
    let reloaded = limiter.reload(&world, ONE_SERVER);
    assert_eq!((reloaded.adopted, reloaded.missed), (8, 0));
    assert_eq!(limiter.connections_of("addr", address(CLIENT)), 8);
    world.must_be_refused(CLIENT, server.address());

    // The same by command.
    limiter.cli_ok(&["exempt", "add", "127.0.0.0/24"]);
    assert_eq!(limiter.zone("addr").connections, 0);
    limiter.cli_ok(&["exempt", "remove", "127.0.0.0/24"]);
    assert_eq!(limiter.zone("addr").connections, 8);
    drop((open, more));
    settle("connections", 0, || limiter.zone("addr").connections);
    limiter.must_be_exact("addr");
}

#[test]
fn exempt_clients_are_not_adopted() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let _exempt = world.open_many(CLIENT, server.address(), 3);
    let _others = world.open_many("127.0.0.6", server.address(), 2);
    let exempt = format!("{ONE_SERVER} limit_conn_exempt {CLIENT};");
    let limiter = Limiter::start_config(&world, &exempt);
    assert_eq!(limiter.zone("addr").connections, 2);
    limiter.must_say("adopted 2 connections");
    let said = limiter.stderr();
    assert!(!said.contains("not counted"), "{said}");
}
