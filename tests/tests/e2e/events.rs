//! The live stream of refusals.

mod again;
mod closes;
mod load;

use std::{collections::BTreeSet, process::Command};

use ::limiter::{
    api::{EventState, Reason},
    policy::ActionKind,
};
use serde_json::Value;
use tests::{
    Limiter, World,
    http::Events,
    limiter,
    process::Process,
    settle::{PATIENCE, poll},
    world::address,
};

use crate::{CLIENT, LIMIT_10, PORT, SERVER, ZONE};

#[test]
fn an_event_tells_who_was_refused_where_and_why() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let events = limiter.events();
    let _open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    let event = events.next(PATIENCE).expect("an event");
    assert_eq!(event.status, EventState::Rejected);
    assert_eq!(event.reason, Reason::Limit);
    assert_eq!(event.action, ActionKind::Drop);
    assert_eq!(
        (event.zone.as_str(), event.server.as_str()),
        (ZONE, "default")
    );
    assert_eq!(event.remote_addr, address(CLIENT));
    assert_ne!(event.remote_port, 0);
    assert_eq!(
        (event.local_addr, event.local_port),
        (server.address().ip(), PORT)
    );
    assert_eq!((event.connections, event.limit), (10, 10));
    assert_eq!(event.hook, "cgroup_skb");
    assert_eq!(event.suppressed, 0);
    assert_eq!(limiter.status().events.sent, 1);
}

#[test]
fn every_line_has_the_fields_of_the_contract() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let events = limiter.events();
    let _open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    let line = events.next_line(PATIENCE).expect("an event");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    let names: BTreeSet<_> = event.as_object().expect("an object").keys().collect();
    for name in [
        "number",
        "time",
        "status",
        "reason",
        "zone",
        "server",
        "remote_addr",
        "remote_port",
        "local_addr",
        "local_port",
        "connections",
        "limit",
        "action",
        "hook",
        "suppressed",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} in {line}");
    }
    assert_eq!(event["status"], "REJECTED");
    assert_eq!(event["reason"], "limit");
    assert_eq!(event["action"], "drop");
    let time = event["time"].as_str().expect("text");
    assert!(time.ends_with('Z') && time.contains('T'), "{time}");
}

#[test]
fn passed_connections_are_shown_only_when_asked_for() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let refusals = limiter.events();
    let all = Events::subscribe(limiter.control(), "?all=1");
    let mut open = Vec::new();
    // Turning it on in the kernel may take a moment longer than the answer.
    let passed = poll(PATIENCE, || {
        if open.len() < 5 {
            open.push(world.open(CLIENT, server.address()));
        }
        all.next(std::time::Duration::from_millis(200))
            .is_some_and(|event| event.status == EventState::Passed && event.reason == Reason::None)
    });
    assert!(passed, "a passed connection is reported");
    let left = 10 - open.len();
    open.extend(world.open_many(CLIENT, server.address(), left));
    world.must_be_refused(CLIENT, server.address());
    let first = refusals.next(PATIENCE).expect("an event");
    assert_eq!(first.status, EventState::Rejected);
}

#[test]
fn the_stream_can_be_narrowed_to_one_zone_or_server() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start_config(
        &world,
        "limit_conn_zone $binary_remote_addr zone=a:1m;
        limit_conn_zone $binary_remote_addr zone=b:1m;
        server { server_name one; listen 8080; limit_conn a 1; }
        server { server_name two; listen 8081; limit_conn b 1; }",
    );
    let only_b = Events::subscribe(limiter.control(), "?zone=b");
    let only_one = Events::subscribe(limiter.control(), "?server=one");
    let two = "127.0.0.1:8081".parse().expect("literal");
    let _one = world.open(CLIENT, server.address());
    let _two = world.open(CLIENT, two);
    world.must_be_refused(CLIENT, server.address());
    world.must_be_refused(CLIENT, two);
    assert_eq!(only_b.next(PATIENCE).expect("an event").server, "two");
    assert_eq!(only_one.next(PATIENCE).expect("an event").zone, "a");
    assert!(only_b.rest(limiter::QUIET).is_empty());
    assert!(only_one.rest(limiter::QUIET).is_empty());
}

#[test]
fn the_command_prints_one_object_a_line_and_ends_after_n() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 10);
    let mut command = Process::start(events_command(&limiter, &["--json", "-n", "2"]), None, None);
    // It says nothing before the first event, so refuse until it has seen two.
    let ended = poll(PATIENCE, || {
        world.must_be_refused(CLIENT, server.address());
        command.ended().is_some()
    });
    assert!(ended, "{}", command.stderr().text());
    assert_eq!(command.wait(PATIENCE).code(), Some(0));
    let printed = command.stdout().text();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    for line in lines {
        let event: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(event["remote_addr"], CLIENT);
    }
}

#[test]
fn the_command_prints_a_line_a_person_can_read() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 10);
    let mut command = Process::start(events_command(&limiter, &["-n", "1"]), None, None);
    let ended = poll(PATIENCE, || {
        world.must_be_refused(CLIENT, server.address());
        command.ended().is_some()
    });
    assert!(ended, "{}", command.stderr().text());
    assert_eq!(command.wait(PATIENCE).code(), Some(0));
    let printed = command.stdout().text();
    assert!(
        printed.contains(CLIENT) && printed.contains("REJECTED") && printed.contains(ZONE),
        "{printed}"
    );
    assert!(!printed.contains('\u{1b}'), "no colours into a pipe");
}

fn events_command(limiter: &Limiter, arguments: &[&str]) -> Command {
    let mut command = limiter::command();
    command
        .arg("events")
        .args(arguments)
        .arg("--control")
        .arg(limiter.control());
    command
}
