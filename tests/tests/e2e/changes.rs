//! Changes of the running policy, which no file has.

use serde_json::Value;
use tests::{Limiter, World};

use crate::{LIMIT_10, ZONE, command_line::json};

#[test]
fn changes_of_the_running_policy_show_in_status() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    limiter.cli_ok(&["limit", ZONE, "3"]);
    limiter.cli_ok(&["dry-run", "on", "--server", "default"]);
    limiter.cli_ok(&["log-level", "info"]);
    limiter.cli_ok(&["exempt", "add", "10.0.0.0/8"]);
    limiter.cli_ok(&["exempt", "add", "192.0.2.1", "--server", "default"]);
    limiter.cli_ok(&["exempt", "remove", "::ffff:10.0.0.0/104"]);
    let server = &json(&limiter, &["status", "--json"])["servers"][0];
    assert_eq!(server["limits"][0]["limit"], 3);
    assert_eq!(server["dry_run"], true);
    assert_eq!(server["log_level"], "info");
    assert_eq!(server["exempt"], serde_json::json!(["192.0.2.1/32"]));
    limiter.must_say("exempt 10.0.0.0/8, 192.0.2.1/32,");
}

const FILE: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;
    limit_conn_zone $server_name zone=all:1m;
    limit_conn_exempt 10.0.0.0/8;
    limit_conn_action close delay=2s;
    server { server_name web; listen 8080; limit_conn addr 10; limit_conn all 100; }
    server { server_name imap; listen 993; limit_conn addr 20; }";

/// A command, the one that takes it back, and what status has in between: `changed` of the server
/// `web`, and a cell of the table.
const CHANGES: [(&[&str], &[&str], &str, &str); 8] = [
    (
        &["limit", "addr", "5", "--server", "web"],
        &["limit", "addr", "10", "--server", "web"],
        r#"{"setting":"limit_conn","zone":"addr","loaded":"10","now":"5"}"#,
        "addr 5 (loaded: 10)",
    ),
    (
        &["limit", "all", "200"],
        &["limit", "all", "100"],
        r#"{"setting":"limit_conn","zone":"all","loaded":"100","now":"200"}"#,
        "all 200 (loaded: 100)",
    ),
    (
        &["exempt", "add", "192.0.2.1", "--server", "web"],
        &["exempt", "remove", "192.0.2.1"],
        r#"{"setting":"limit_conn_exempt","now":"192.0.2.1/32"}"#,
        "192.0.2.1/32 (added: 192.0.2.1/32)",
    ),
    (
        &["exempt", "remove", "10.0.0.0/8", "--server", "web"],
        &["exempt", "add", "10.0.0.0/8", "--server", "web"],
        r#"{"setting":"limit_conn_exempt","loaded":"10.0.0.0/8"}"#,
        "none (removed: 10.0.0.0/8)",
    ),
    (
        &["dry-run", "on", "--server", "web"],
        &["dry-run", "off"],
        r#"{"setting":"limit_conn_dry_run","loaded":"off","now":"on"}"#,
        "on (loaded: off)",
    ),
    (
        &["log-level", "info", "--server", "web"],
        &["log-level", "error"],
        r#"{"setting":"limit_conn_log_level","loaded":"error","now":"info"}"#,
        "info (loaded: error)",
    ),
    (
        &["action", "close", "delay=1s", "--server", "web"],
        &["action", "close", "delay=2s"],
        r#"{"setting":"limit_conn_action","loaded":"close delay=2s","now":"close delay=1s"}"#,
        "close delay=1s (loaded: close delay=2s)",
    ),
    (
        &["action", "reset", "--server", "web"],
        &["action", "close", "delay=2s"],
        r#"{"setting":"limit_conn_action","loaded":"close delay=2s","now":"reset"}"#,
        "reset (loaded: close delay=2s)",
    ),
];

#[test]
fn status_marks_what_differs_from_the_file() {
    let world = World::new();
    let limiter = Limiter::start_config(&world, FILE);
    must_be_as_loaded(&limiter);
    for (change, back, expected, cell) in CHANGES {
        let expected: Value = serde_json::from_str(expected).expect("literal");
        let changed = limiter.cli_ok(change);
        assert!(changed.contains(cell), "{change:?}: {changed}");
        let [web, imap] = marks(&limiter);
        assert_eq!(
            (web, imap),
            (serde_json::json!([expected]), Value::Null),
            "{change:?}"
        );
        let text = limiter.cli_ok(&["status"]);
        assert!(text.contains(cell), "{change:?}: {text}");
        limiter.cli_ok(back);
        must_be_as_loaded(&limiter);
    }
}

#[test]
fn every_change_is_marked_until_it_is_taken_back() {
    let world = World::new();
    let limiter = Limiter::start_config(&world, FILE);
    let changes = &CHANGES[..7];
    for (change, ..) in changes {
        limiter.cli_ok(change);
    }
    let [web, imap] = marks(&limiter);
    let marked = web.as_array().expect("marks");
    assert_eq!((marked.len(), imap), (changes.len(), Value::Null));
    for (.., expected, _) in changes {
        let expected: Value = serde_json::from_str(expected).expect("literal");
        assert!(marked.contains(&expected), "{expected} in {web}");
    }
    let text = limiter.cli_ok(&["status"]);
    for cell in [
        "addr 5 (loaded: 10), all 200 (loaded: 100)",
        "192.0.2.1/32 (added: 192.0.2.1/32; removed: 10.0.0.0/8)",
        "on (loaded: off)",
        "info (loaded: error)",
        "close delay=1s (loaded: close delay=2s)",
    ] {
        assert!(text.contains(cell), "{cell}: {text}");
    }
    for (_, back, ..) in changes {
        limiter.cli_ok(back);
    }
    must_be_as_loaded(&limiter);
}

/// Also, what was loaded can be the flags of `run`.
#[test]
fn a_change_of_every_server_says_what_each_had() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    let text = limiter.cli_ok(&["limit", ZONE, "3", "--json"]);
    let servers: Value = serde_json::from_str(&text).expect("JSON");
    let changed =
        serde_json::json!([{ "setting": "limit_conn", "zone": ZONE, "loaded": "10", "now": "3" }]);
    assert_eq!(servers[0]["changed"], changed);
    drop(limiter);

    let limiter = Limiter::start_config(&world, FILE);
    limiter.cli_ok(&["limit", "addr", "20"]);
    let [web, imap] = marks(&limiter);
    let changed = serde_json::json!([{ "setting": "limit_conn", "zone": "addr", "loaded": "10", "now": "20" }]);
    assert_eq!((web, imap), (changed, Value::Null));
}

/// Of the two servers of [`FILE`]; null: there is no such field.
fn marks(limiter: &Limiter) -> [Value; 2] {
    let status = json(limiter, &["status", "--json"]);
    [0, 1].map(|server| status["servers"][server]["changed"].clone())
}

#[track_caller]
fn must_be_as_loaded(limiter: &Limiter) {
    assert_eq!(marks(limiter), [Value::Null, Value::Null]);
    let text = limiter.cli_ok(&["status"]);
    assert!(
        !text.contains("(loaded: ") && !text.contains("(added: "),
        "{text}"
    );
}
