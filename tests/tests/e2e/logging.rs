//! What the daemon writes down about refusals.

mod forms;

use std::{fs, path::Path};

use tests::{
    Limiter, World, settle,
    settle::{PATIENCE, poll},
    world::quoted,
};

use crate::{CLIENT, SERVER};

const ZONE: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;\n";

#[test]
fn a_refusal_is_logged_as_nginx_does() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let log = world.path("error.log");
    let config = format!(
        "error_log {} info;\n{ZONE}server {{ server_name web; listen 8080; limit_conn addr 1; limit_conn_log_level warn; }}",
        quoted(&log)
    );
    let limiter = Limiter::start_config(&world, &config);
    let _open = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    let line = must_log(
        &limiter,
        &log,
        &[
            "limiting connections by zone \"addr\", client: 127.0.0.5",
            ", server: web",
            ", limit: 1, action: drop",
        ],
    );
    assert!(line.to_lowercase().contains("warn"), "its level: {line}");
}

#[test]
fn a_refusal_in_dry_run_or_because_of_exhaustion_is_logged_as_such() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let log = world.path("error.log");
    let config = format!(
        "error_log {} info;\n{ZONE}limit_conn_zone $binary_remote_addr zone=tiny:32k;
        server {{ server_name web; listen 8080; limit_conn addr 1; limit_conn_dry_run on; }}
        server {{ server_name full; listen 8081; limit_conn tiny 1; }}",
        quoted(&log)
    );
    let limiter = Limiter::start_config(&world, &config);
    let _dry = world.open_many(CLIENT, server.address(), 2);
    must_log(
        &limiter,
        &log,
        &[
            "limiting connections, dry run, by zone \"addr\", client: 127.0.0.5",
            ", server: web",
        ],
    );

    let full = "127.0.0.1:8081".parse().expect("literal");
    let _keys: Vec<_> = (0..512)
        .map(|n| world.open(&format!("127.9.{}.{}", n / 250, n % 250 + 1), full))
        .collect();
    world.must_be_refused(CLIENT, full);
    must_log(&limiter, &log, &["\"tiny\"", "exhausted"]);
}

#[test]
fn the_level_of_error_log_decides_what_is_shown() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let log = world.path("error.log");
    let config = format!(
        "error_log {} error;\n{ZONE}server {{ server_name web; listen 8080; limit_conn addr 1; limit_conn_log_level info; }}",
        quoted(&log)
    );
    let limiter = Limiter::start_config(&world, &config);
    let events = limiter.events();
    let _open = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    events.next(PATIENCE).expect("the daemon has seen it");
    // From now on it is an error, and the log follows the same stream of events in order.
    limiter.cli_ok(&["log-level", "error"]);
    settle("log", true, || {
        world.must_be_refused(CLIENT, server.address());
        read(&log).contains("limiting connections")
    });
    assert!(
        !read(&log).to_lowercase().contains("info"),
        "{}",
        read(&log)
    );
}

/// Waits for a line with all of these words.
#[track_caller]
fn must_log(limiter: &Limiter, path: &Path, words: &[&str]) -> String {
    let mut found = None;
    poll(PATIENCE, || {
        found = read(path)
            .lines()
            .find(|line| words.iter().all(|word| line.contains(word)))
            .map(str::to_owned);
        found.is_some()
    });
    found.unwrap_or_else(|| {
        panic!(
            "no line with {words:?} in the log:\n{}\nand on standard error:\n{}",
            read(path),
            limiter.stderr()
        )
    })
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
