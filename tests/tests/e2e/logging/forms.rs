//! Fields instead of sentences, and files that are rotated or full.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{
    Limiter, World, mounts, settle,
    settle::{PATIENCE, poll},
    world::quoted,
};

use super::{ZONE, must_log, read};
use crate::{CLIENT, SERVER};

const SERVER_OF_ONE: &str =
    "server { server_name web; listen 8080; limit_conn addr 1; limit_conn_log_level warn; }";

/// A change that changes nothing, and that is logged in one line.
fn log_a_line(limiter: &Limiter) {
    let response = limiter.http("POST", "/log-level", Some("{\"level\":\"warn\"}"));
    assert_eq!(response.status, 200, "{}", response.body);
}

/// The lines that [`log_a_line`] has made.
fn count_lines(text: &str) -> usize {
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let messages = lines.filter(|line| {
        let message = line["message"].as_str();
        message.is_some_and(|message| message.starts_with("server \"web\" changed"))
    });
    messages.count()
}

#[test]
fn json_lines_have_the_fields_of_the_event() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let config = format!("error_log stderr info format=json;\n{ZONE}{SERVER_OF_ONE}");
    let limiter = Limiter::start_config(&world, &config);
    let events = limiter.events();
    let _open = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    let event = events.next(PATIENCE).expect("an event");
    limiter.must_say("limiting connections");

    let said = limiter.stderr();
    let lines = said.lines().filter(|line| *line != "ready");
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for line in &lines {
        for name in ["time", "level", "message"] {
            assert!(line[name].is_string(), "{name} of {line}");
        }
    }
    let is_refusal = |line: &&Value| line["zone"].is_string();
    let refusal = lines.iter().find(is_refusal).expect("a line with a zone");
    let mut expected = serde_json::to_value(&event).expect("JSON");
    expected["level"] = "warn".into();
    expected["message"] = refusal["message"].clone();
    assert_eq!(*refusal, expected);
    let message = refusal["message"].as_str().expect("a sentence");
    assert!(
        message.starts_with("limiting connections by zone \"addr\", client: 127.0.0.5"),
        "{message}"
    );
}

#[test]
fn a_file_is_rotated_again_and_again_without_losing_a_line() {
    const LINES: usize = 600;
    const TURNS: usize = 6;
    let world = World::new();
    let log = world.path("error.log");
    let config = format!(
        "error_log {} notice format=json;\n{ZONE}{SERVER_OF_ONE}",
        quoted(&log)
    );
    let limiter = Limiter::start_config(&world, &config);
    let rotated: Vec<PathBuf> = (0..TURNS)
        .map(|n| world.path(&format!("error.log.{n}")))
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| (0..LINES).for_each(|_| log_a_line(&limiter)));
        for path in &rotated {
            settle("there is something to rotate", true, || {
                count_lines(&read(&log)) > 0
            });
            fs::rename(&log, path).expect("rename");
            limiter.signal(Signal::SIGUSR1);
            settle("the file is there again", true, || log.exists());
        }
    });
    let all = || {
        rotated
            .iter()
            .chain([&log])
            .map(|path| count_lines(&read(path)))
    };
    settle("lines", LINES, || all().sum());
    assert!(
        all().take(TURNS).all(|lines| lines > 0),
        "{:?}",
        all().collect::<Vec<_>>()
    );
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
fn without_the_directory_the_old_file_goes_on() {
    let world = World::new();
    let directory = world.path("logs");
    fs::create_dir(&directory).expect("a directory");
    let log = directory.join("error.log");
    let config = format!("error_log {} notice;\n{ZONE}{SERVER_OF_ONE}", quoted(&log));
    let limiter = Limiter::start_config(&world, &config);
    let moved = world.path("moved");
    fs::rename(&directory, &moved).expect("rename");
    limiter.signal(Signal::SIGUSR1);
    let log = moved.join("error.log");
    must_log(
        &limiter,
        &log,
        &["[warn] reopen error_log", "No such file", "goes on"],
    );
    log_a_line(&limiter);
    must_log(&limiter, &log, &["server \"web\" changed"]);
}

#[test]
fn a_full_disk_stops_nobody_and_what_is_lost_is_counted() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let directory = world.path("full");
    fs::create_dir(&directory).expect("a directory");
    let log = directory.join("error.log");
    let config = format!(
        "error_log {} notice format=json;\n{ZONE}{SERVER_OF_ONE}",
        quoted(&log)
    );
    let path = world.write("limiter.conf", &(world.attach() + &config));
    let mut command = tests::limiter::command();
    command.args(["run", "--config"]).arg(path);
    mounts::small(&mut command, &directory);
    let started = Limiter::try_command(&world.netns, &world.control(), command);
    let limiter = started.expect("it starts");
    // As the limiter sees it.
    let inside =
        |path: &Path| PathBuf::from(format!("/proc/{}/root{}", limiter.id(), path.display()));
    let filler = inside(&directory.join("filler"));
    let log = inside(&log);
    fs::write(&filler, vec![0; 64 << 10]).expect_err("more than there is room for");

    let mut lines = 0;
    let is_full = poll(PATIENCE, || {
        log_a_line(&limiter);
        lines += 1;
        limiter.stderr().contains("lines are lost")
    });
    assert!(is_full, "{}", limiter.stderr());
    let said = limiter.stderr();
    assert!(
        said.contains("error_log: No space left on device"),
        "{said}"
    );
    for _ in 0..50 {
        log_a_line(&limiter);
        lines += 1;
    }
    // It goes on with what it is there for.
    let open = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 0, || limiter.zone("addr").connections);

    fs::remove_file(&filler).expect("make room");
    log_a_line(&limiter);
    lines += 1;
    let line = must_log(
        &limiter,
        &log,
        &["they could not be written: No space left"],
    );
    let line: Value = serde_json::from_str(&line).expect("JSON");
    let message = line["message"].as_str().expect("a sentence");
    let (lost, _) = message.split_once(' ').expect("a number first");
    let lost: usize = lost.parse().expect("a number");
    settle("lines", true, || count_lines(&read(&log)) + lost >= lines);
    // Some of those that are lost are refusals, one for each event; one line may be there in part.
    let refusals = lost + count_lines(&read(&log)) - lines;
    let events = limiter.status().events.sent as usize;
    assert!(
        (1..=events + 1).contains(&refusals),
        "{refusals} lines more than there were"
    );
    assert_eq!(limiter.stderr().matches("lines are lost").count(), 1);
    let (status, _) = limiter.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn without_a_journal_it_is_said_so() {
    let world = World::new();
    let config = format!("error_log journal;\n{ZONE}{SERVER_OF_ONE}");
    let path = world.write("limiter.conf", &(world.attach() + &config));
    let mut command = tests::limiter::command();
    command.args(["run", "--config"]).arg(path);
    mounts::small(&mut command, Path::new("/run"));
    let started = Limiter::try_command(&world.netns, &world.control(), command);
    let failed = started.expect_err("there is no journal");
    assert_eq!(failed.code, Some(1));
    let words = "open error_log journal: /run/systemd/journal/socket: No such file";
    assert!(failed.stderr.contains(words), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("is systemd-journald running?"),
        "{}",
        failed.stderr
    );
}
