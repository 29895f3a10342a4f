//! Events over the end of a daemon, and those of before one asked.

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{Limiter, World, process::Process, settle, settle::PATIENCE};

use super::events_command;
use crate::{CLIENT, LIMIT_10, SERVER};

/// Numbers of the events that it has printed.
fn numbers(command: &Process) -> Vec<u64> {
    let printed = command.stdout().text();
    let lines = printed.lines().map(|line| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        event["number"].as_u64().expect("a number")
    });
    lines.collect()
}

#[track_caller]
fn must_say(command: &Process, text: &str) {
    let said = settle::poll(PATIENCE, || command.stderr().text().contains(text));
    assert!(said, "{text:?} is not in {:?}", command.stderr().text());
}

#[test]
fn the_command_goes_on_with_the_daemon_that_takes_over() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 10);
    let command = Process::start(events_command(&limiter, &["--json"]), None, None);
    settle("an event", true, || {
        world.must_be_refused(CLIENT, server.address());
        !numbers(&command).is_empty()
    });
    let before = numbers(&command).len();

    limiter.end(Signal::SIGKILL);
    must_say(&command, "the daemon is gone");
    // Into the ring, which the next daemon reads.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    world.must_be_refused(CLIENT, server.address());
    let limiter = Limiter::start(&world, &LIMIT_10);
    must_say(&command, "connected again, missed no events");
    settle("the event of meanwhile", before + 1, || {
        numbers(&command).len()
    });
    let seen = numbers(&command);
    assert!(seen.windows(2).all(|two| two[1] == two[0] + 1), "{seen:?}");

    // A clean end takes the programs along.
    limiter.end(Signal::SIGTERM);
    must_say(&command, "the daemon has stopped");
    let _limiter = Limiter::start(&world, &LIMIT_10);
    must_say(&command, "the limiter began anew");
    settle("an event of the new one", before + 2, || {
        world.must_be_refused(CLIENT, server.address());
        numbers(&command).len()
    });
    assert_eq!(numbers(&command)[before + 1], 1);
}

#[test]
fn what_the_daemon_remembers_can_be_asked_for() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    settle("sent", 1, || limiter.status().events.sent);
    let arguments = ["events", "--since", "10m", "-n", "1", "--json"];
    let output = limiter.cli(&arguments);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(
        output.stderr.contains("is gone: the daemon remembers"),
        "{}",
        output.stderr
    );
    let event: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        (&event["remote_addr"], &event["number"]),
        (&CLIENT.into(), &1.into())
    );
    // For a person, in colours if that is wanted.
    let text = limiter.cli_ok(&["events", "--since", "10m", "-n", "1", "--color", "always"]);
    assert!(text.contains("\u{1b}[1;31mREJECTED\u{1b}[0m"), "{text:?}");
}
