//! Commands and their JSON.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::{Limiter, World, limiter, process::run, settle};

use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

const ZONE_FIELDS: [&str; 17] = [
    "zone",
    "key",
    "v4_prefix",
    "v6_prefix",
    "on_full",
    "capacity",
    "keys",
    "connections",
    "passed",
    "skipped",
    "rejected",
    "rejected_dry_run",
    "exhausted",
    "exhausted_dry_run",
    "evicted",
    "drift",
    "memory_bytes",
];

#[test]
fn status_shows_what_is_attached_the_policy_the_zones_and_the_event_path() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    let status = json(&limiter, &["status", "--json"]);
    must_have(
        &status,
        &[
            "version", "pid", "uptime_s", "attached", "servers", "zones", "events",
        ],
    );
    assert_eq!(status["pid"], limiter.id());

    let attached = &status["attached"][0];
    assert_eq!(attached["kind"], "cgroup");
    let path = world.cgroup.path().display().to_string();
    assert_eq!(attached["target"], path.as_str());
    let programs = attached["programs"].as_array().expect("a list");
    assert!(programs.len() >= 2, "{attached}");

    let server = &status["servers"][0];
    must_have(
        server,
        &[
            "server",
            "listen",
            "limits",
            "dry_run",
            "log_level",
            "action",
            "exempt",
        ],
    );
    assert_eq!(server["server"], "default");
    assert_eq!(server["listen"], serde_json::json!(["8080"]));
    assert_eq!(
        server["limits"],
        serde_json::json!([{ "zone": ZONE, "limit": 10 }])
    );
    assert_eq!(server["dry_run"], false);
    assert_eq!(server["log_level"], "error");
    assert_eq!(server["action"], "drop");

    must_have(&status["zones"][0], &ZONE_FIELDS);
    must_have(&status["events"], &["sent", "lost", "suppressed"]);
    let text = limiter.cli_ok(&["status"]);
    for word in [ZONE, path.as_str(), "default"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn zones_shows_every_zone_and_one_zone_with_its_keys() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 10);
    let _other = world.open_many("127.0.0.6", server.address(), 3);
    world.must_be_refused(CLIENT, server.address());

    let zones = json(&limiter, &["zones", "--json"]);
    let zones = zones.as_array().expect("a list");
    assert_eq!(zones.len(), 1);
    must_have(&zones[0], &ZONE_FIELDS);
    assert_eq!(zones[0]["key"], "$binary_remote_addr");
    assert!(zones[0]["memory_bytes"].as_u64() > Some(0));

    let zone = json(&limiter, &["zones", ZONE, "--json", "--top", "1"]);
    must_have(&zone, &ZONE_FIELDS);
    assert_eq!(
        (&zone["connections"], &zone["keys"]),
        (&13.into(), &2.into())
    );
    assert_eq!(
        zone["top"],
        serde_json::json!([{ "remote_addr": CLIENT, "connections": 10, "rejected": 1 }])
    );
    // The socket says the same.
    assert_eq!(
        limiter
            .http("GET", &format!("/zones/{ZONE}?top=1"), None)
            .json(),
        zone
    );
    let text = limiter.cli_ok(&["zones", ZONE, "--top", "5"]);
    assert!(
        text.contains(CLIENT) && text.contains("127.0.0.6"),
        "{text}"
    );
}

#[test]
fn a_reset_sets_counters_to_zero_and_never_the_connections() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    for arguments in [&["reset", ZONE][..], &["reset"]] {
        limiter.cli_ok(arguments);
        let zone = limiter.zone(ZONE);
        assert_eq!(
            (zone.connections, zone.keys, zone.passed, zone.rejected),
            (10, 1, 0, 0)
        );
        world.must_be_refused(CLIENT, server.address());
        assert_eq!(limiter.zone(ZONE).rejected, 1);
    }
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_change_that_makes_no_sense_is_refused_and_changes_nothing() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    let before = limiter.status().servers;
    for (arguments, word) in [
        (&["limit", ZONE, "0"][..], "0"),
        (&["limit", ZONE, "65536"], "65536"),
        (&["limit", ZONE, "many"], "many"),
        (&["limit", "nothing", "3"], "nothing"),
        (&["limit", ZONE, "3", "--server", "nobody"], "nobody"),
        (&["dry-run", "perhaps"], "perhaps"),
        (&["dry-run", "on", "--server", "nobody"], "nobody"),
        (&["log-level", "loud"], "loud"),
        (&["log-level", "info", "--server", "nobody"], "nobody"),
        (&["action", "ban"], "ban"),
        (&["action", "drop", "delay=1s"], "delay=1s"),
        (&["action", "close", "delay=soon"], "delay=soon"),
        (&["action", "close", "delay=2h"], "delay=2h"),
        (&["action", "close", "later"], "later"),
        (&["action", "reset", "--server", "nobody"], "nobody"),
        (&["exempt", "add", "10.1.2.3/8"], "10.0.0.0/8"),
        (&["exempt", "add", "example.org"], "example.org"),
        (&["exempt", "remove", "10.0.0.0/8"], "10.0.0.0/8"),
        (
            &["exempt", "remove", "::1", "--server", "default"],
            "::1/128",
        ),
        (
            &["exempt", "add", "10.0.0.0/8", "--server", "nobody"],
            "nobody",
        ),
        (&["exempt", "clear", "10.0.0.0/8"], "clear"),
        (&["reset", "nothing"], "nothing"),
        (&["zones", "nothing"], "nothing"),
        (&["zones", ZONE, "--top", "many"], "many"),
    ] {
        let output = limiter.cli(arguments);
        assert!(
            matches!(output.code, Some(1 | 2)),
            "{arguments:?}: {:?}",
            output.code
        );
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert!(
            output.stderr.contains(word) && !output.stderr.contains("panicked"),
            "{arguments:?}: {}",
            output.stderr
        );
        assert_eq!(limiter.status().servers, before, "{arguments:?}");
    }
}

#[test]
fn the_socket_may_also_be_named_in_the_environment() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    let mut command = limiter::command();
    command
        .args(["status", "--json"])
        .env("LIMITER_CONTROL", limiter.control());
    let output = run(command, None);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let status: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(status["pid"], limiter.id());
}

#[track_caller]
pub(crate) fn json(limiter: &Limiter, arguments: &[&str]) -> Value {
    let text = limiter.cli_ok(arguments);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {text}"))
}

#[track_caller]
fn must_have(value: &Value, names: &[&str]) {
    let present: BTreeSet<_> = value
        .as_object()
        .unwrap_or_else(|| panic!("not an object: {value}"))
        .keys()
        .map(String::as_str)
        .collect();
    for name in names {
        assert!(present.contains(name), "{name} is missing in {value}");
    }
}
