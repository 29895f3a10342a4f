//! `limiter top` in a terminal.

use std::{fs, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::{
    Limiter, World, limiter, settle,
    settle::{PATIENCE, poll},
    tmux::Tmux,
};

use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

/// Begins it in a terminal; the state of the terminal before is written down, and after it as well.
fn begin(world: &World, tmux: &Tmux) {
    let command = limiter::command();
    let program = command.get_program().to_string_lossy().into_owned();
    let place = |name: &str| world.path(name).display().to_string();
    tmux.say("echo this was here before");
    tmux.say(&format!(
        "stty -g > {}; sh -c 'echo $$ > {}; exec {program} top --interval 200ms --control {}'; \
         echo ended with $?; stty -g > {}",
        place("before"),
        place("pid"),
        place("c.sock"),
        place("after"),
    ));
    tmux.must_say("keys of zone");
    assert_eq!(tmux.ask("alternate_on"), "1");
}

/// It has ended, and the terminal is as it was.
#[track_caller]
fn must_be_over(world: &World, tmux: &Tmux) {
    tmux.must_show("the end", |screen| {
        screen.lines().any(|line| line.starts_with("ended with 0"))
    });
    let read = |name: &str| fs::read_to_string(world.path(name)).unwrap_or_default();
    assert!(poll(PATIENCE, || !read("after").is_empty()));
    assert_eq!(read("after"), read("before"));
    assert_eq!(tmux.ask("alternate_on"), "0");
    assert_eq!(tmux.ask("cursor_flag"), "1");
    tmux.must_say("this was here before");
    fs::remove_file(world.path("after")).expect("remove a file");
    tmux.say("clear");
}

/// The words of the line that begins with this one.
fn line_of(screen: &str, first: &str) -> Option<Vec<String>> {
    let mut lines = screen.lines().map(|line| line.split_whitespace());
    let words = lines.find(|words| words.clone().next() == Some(first))?;
    Some(words.map(str::to_owned).collect())
}

#[track_caller]
fn must_agree(limiter: &Limiter, tmux: &Tmux) {
    let agrees = |screen: &str| {
        let zone = &limiter.status().zones[0];
        let keys = format!("{}/{}", zone.keys, zone.capacity);
        let connections = zone.connections.to_string();
        let zone_agrees = line_of(screen, ZONE).is_some_and(|words| {
            let at = words.iter().position(|word| *word == keys);
            at.is_some_and(|at| words.get(at + 1) == Some(&connections))
        });
        zone_agrees
            && limiter.top(ZONE, 100).iter().all(|key| {
                let addr = key.parts.remote_addr.expect("an address").to_string();
                line_of(screen, &addr).is_some_and(|words| {
                    words[1] == key.connections.to_string() && words[2] == key.rejected.to_string()
                })
            })
    };
    tmux.must_show("what status says", agrees);
}

#[test]
fn what_is_on_the_screen_is_what_status_says() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let tmux = Tmux::start(&world, 120, 40);
    begin(&world, &tmux);
    let mut open = world.open_many(CLIENT, server.address(), 10);
    open.extend(world.open_many("127.0.0.7", server.address(), 3));
    world.must_be_refused(CLIENT, server.address());
    must_agree(&limiter, &tmux);
    tmux.must_show("the event", |screen| {
        let mut lines = screen
            .lines()
            .filter(|line| line.contains("REJECTED 127.0.0.5"));
        lines.any(|line| line.contains("zone=addr 10/10 drop"))
    });

    tmux.resize(70, 20);
    open.truncate(6);
    settle("connections", 6, || limiter.zone(ZONE).connections);
    must_agree(&limiter, &tmux);
    tmux.resize(40, 8);
    tmux.must_say("too small");
    tmux.resize(120, 40);
    must_agree(&limiter, &tmux);

    tmux.press("/");
    tmux.say("0.0.5");
    tmux.must_show("the filter", |screen| {
        line_of(screen, "127.0.0.7").is_none()
    });
    tmux.press("Escape");
    must_agree(&limiter, &tmux);
    tmux.press("q");
    must_be_over(&world, &tmux);
}

#[test]
fn dry_run_is_switched_after_a_question_and_is_plain_to_see() {
    let world = World::new();
    let _server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let tmux = Tmux::start(&world, 100, 30);
    begin(&world, &tmux);
    let is_dry = || limiter.status().servers[0].dry_run;
    assert!(!tmux.screen().contains("DRY RUN"));
    tmux.press("d");
    tmux.must_say("Turn dry run on for server default?");
    tmux.press("n");
    tmux.must_show("the answer", |screen| !screen.contains("Turn dry run"));
    assert!(!is_dry());
    tmux.press("d");
    tmux.press("y");
    tmux.must_say("DRY RUN: nobody is refused");
    tmux.must_say("default DRY RUN");
    assert!(is_dry());
    limiter.cli_ok(&["dry-run", "off"]);
    tmux.must_show("the end of it", |screen| !screen.contains("DRY RUN"));
    tmux.press("Escape");
    must_be_over(&world, &tmux);
}

#[test]
fn it_outlives_the_daemon_and_finds_the_next_one() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let tmux = Tmux::start(&world, 100, 30);
    begin(&world, &tmux);
    let _open = world.open_many(CLIENT, server.address(), 4);
    must_agree(&limiter, &tmux);
    limiter.end(Signal::SIGKILL);
    tmux.must_say("NO DAEMON");
    let _more = world.open_many(CLIENT, server.address(), 3);
    let limiter = Limiter::start(&world, &LIMIT_10);
    tmux.must_show("the next daemon", |screen| !screen.contains("NO DAEMON"));
    must_agree(&limiter, &tmux);
    limiter.end(Signal::SIGTERM);
    tmux.must_say("NO DAEMON");
    tmux.press("C-c");
    must_be_over(&world, &tmux);
}

#[test]
fn the_terminal_is_as_before_whatever_ends_it() {
    let world = World::new();
    let _limiter = Limiter::start(&world, &LIMIT_10);
    let tmux = Tmux::start(&world, 100, 30);
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        begin(&world, &tmux);
        let pid: PathBuf = world.path("pid");
        let id = fs::read_to_string(pid).expect("its process id");
        let id = id.trim().parse().expect("a number");
        kill(Pid::from_raw(id), signal).expect("it runs");
        must_be_over(&world, &tmux);
    }
}

#[test]
fn a_terminal_that_takes_nothing_holds_nobody_up() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let tmux = Tmux::start(&world, 200, 50);
    begin(&world, &tmux);
    let process = |id: &str| Pid::from_raw(id.trim().parse().expect("a number"));
    let terminal = process(&tmux.ask("pid"));
    let id = fs::read_to_string(world.path("pid")).expect("its process id");
    kill(terminal, Signal::SIGSTOP).expect("it runs");
    let _open = world.open_many(CLIENT, server.address(), 10);
    for _ in 0..5 {
        world.must_be_refused(CLIENT, server.address());
    }
    kill(process(&id), Signal::SIGTERM).expect("it runs");
    let is_gone = || kill(process(&id), None).is_err();
    let ended = poll(PATIENCE, is_gone);
    kill(terminal, Signal::SIGCONT).expect("it is stopped");
    assert!(ended, "it waits for the terminal");
    must_be_over(&world, &tmux);
    drop(limiter);
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    let output = limiter.cli(&["top"]);
    assert_eq!(output.code, Some(2));
    assert!(
        output.stderr.contains("have to be a terminal") && output.stderr.contains("limiter status"),
        "{}",
        output.stderr
    );
    assert_eq!(output.stdout, "");
}
