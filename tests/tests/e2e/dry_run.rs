//! Dry run: verdicts are computed, counted and reported, and nobody is refused.

use std::io::{Read, Write};

use limiter::api::{EventState, Reason};
use tests::{Limiter, World, settle, settle::PATIENCE};

use crate::{CLIENT, PORT, SERVER, ZONE};

const DRY: [&str; 5] = ["--listen", "8080", "--limit", "10", "--dry-run"];

#[test]
fn dry_run_counts_what_it_would_refuse_and_turning_it_off_refuses_the_next() {
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &DRY);
    let mut open = world.open_many(CLIENT, server.address(), 20);
    assert_eq!(world.open_at(PORT), 20);
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (
            zone.connections,
            zone.passed,
            zone.rejected_dry_run,
            zone.rejected,
            zone.excess
        ),
        (20, 10, 10, 0, 0)
    );
    assert!(limiter.status().servers[0].dry_run);

    limiter.cli_ok(&["dry-run", "off"]);
    assert!(!limiter.status().servers[0].dry_run);
    world.must_be_refused(CLIENT, server.address());
    for stream in &mut open {
        stream.write_all(b"x").expect("an open connection goes on");
        stream.read_exact(&mut [0]).expect("and is answered");
    }
    assert_eq!(server.stat().open, 20);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.rejected), (20, 1));

    // Down to the limit, and then below it.
    drop(open.split_off(10));
    settle("connections", 10, || limiter.zone(ZONE).connections);
    world.must_be_refused(CLIENT, server.address());
    drop(open.pop());
    settle("connections", 9, || limiter.zone(ZONE).connections);
    open.push(world.open(CLIENT, server.address()));

    limiter.cli_ok(&["dry-run", "on"]);
    open.extend(world.open_many(CLIENT, server.address(), 5));
    assert_eq!(limiter.zone(ZONE).connections, 15);
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(limiter.zone(ZONE).keys, 0);
    limiter.must_be_exact(ZONE);
}

#[test]
fn dry_run_reports_as_dry_run() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &DRY);
    let events = limiter.events();
    let _open = world.open_many(CLIENT, server.address(), 11);
    let event = events.next(PATIENCE).expect("an event");
    assert_eq!(event.status, EventState::RejectedDryRun);
    assert_eq!(event.reason, Reason::Limit);
    assert_eq!((event.zone.as_str(), event.limit), (ZONE, 10));
    assert_eq!(event.remote_addr.to_string(), CLIENT);
}

#[test]
fn dry_run_may_be_turned_on_for_one_server() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start_config(
        &world,
        "limit_conn_zone $binary_remote_addr$server_name zone=addr:1m;
        limit_conn addr 2;
        server { server_name a; listen 8080; limit_conn_dry_run on; }
        server { server_name b; listen 8081; }",
    );
    let b = "127.0.0.1:8081".parse().expect("literal");
    let _at_a = world.open_many(CLIENT, server.address(), 3);
    let _at_b = world.open_many(CLIENT, b, 2);
    world.must_be_refused(CLIENT, b);
    limiter.cli_ok(&["dry-run", "off", "--server", "a"]);
    limiter.cli_ok(&["dry-run", "on", "--server", "b"]);
    world.must_be_refused(CLIENT, server.address());
    let _more_at_b = world.open(CLIENT, b);
    assert_eq!(limiter.zone("addr").connections, 6);
}
