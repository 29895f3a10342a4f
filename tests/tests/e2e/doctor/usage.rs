//! The command line.

use nix::sys::signal::Signal;
use tests::{World, limiter, process::Process, settle::PATIENCE};

use super::doctor;
use crate::{CLIENT, SERVER};

#[test]
fn the_verdict_is_the_first_line_and_the_exit_code() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let _open = world.open_many(CLIENT, server.address(), 3);
    let output = doctor(&world, &[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let text = output.stdout;
    assert!(
        text.starts_with("HEALTHY nothing is wrong: 3 connections at 2 listeners\n"),
        "{text}"
    );
    assert!(text.contains("127.0.0.1:8081"), "{text}");
    assert!(!text.contains("\x1b["), "{text}");
    let text = doctor(&world, &["--listen", "8080", "--color", "always"]).stdout;
    assert!(text.starts_with("\x1b[32mHEALTHY\x1b[0m"), "{text}");
    assert!(!text.contains("127.0.0.1:8081"), "{text}");
}

#[test]
fn what_cannot_be_examined_is_no_verdict() {
    let world = World::new();
    let _server = world.serve(&[SERVER]);
    for (arguments, code, word) in [
        (&["--listen", "9999"][..], 3, "nobody listens there"),
        (&["--pid", "999999999"], 3, "no process 999999999"),
        (&["--pid", "1", "--listen", "9999"], 3, "nobody"),
        (&["--listen", "0"], 2, "0"),
        (&["--interval", "1ms"], 2, "100ms"),
        (&["--stub-status", "https://localhost/"], 2, "http://"),
    ] {
        let output = doctor(&world, arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert!(
            output.stderr.contains(word) && !output.stderr.contains("panicked"),
            "{arguments:?}: {}",
            output.stderr
        );
    }
}

#[test]
fn watching_marks_what_has_changed() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let mut command = limiter::command();
    command
        .args(["doctor", "--watch", "--interval", "200ms", "--control"])
        .arg(world.control());
    let mut watch = Process::start(command, Some(&world.netns), None);
    let row = |has: &str| loop {
        let line = watch.stdout().next(PATIENCE).expect("another line");
        if line.starts_with(SERVER) && line.contains(has) {
            return line;
        }
    };
    let line = row(" peer");
    assert!(!line.ends_with('*'), "{line}");
    let _open = world.open_many(CLIENT, server.address(), 3);
    let line = row(CLIENT);
    assert!(line.ends_with("  *"), "{line}");
    watch.signal(Signal::SIGTERM);
    assert_eq!(watch.wait(PATIENCE).code(), Some(0));
}
