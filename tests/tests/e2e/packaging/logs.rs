//! The journal, and files that are rotated, under a real systemd.

use serde_json::Value;
use tests::{Machine, World, settle};

use super::{UNIT, service::installed, settle_active};
use crate::{CLIENT, SERVER};

const LIMITS: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;
    server { server_name web; listen 8080; limit_conn addr 1; limit_conn_log_level warn; }";

/// Another log is a matter of the next start.
fn restarted(world: &World, log: &str) -> Machine {
    let machine = installed(world, &format!("{log}\n{LIMITS}"));
    machine.ok(&["systemctl", "restart", UNIT]);
    settle_active(&machine);
    machine
}

#[test]
fn the_journal_has_the_fields_of_a_refusal() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let machine = restarted(&world, "error_log journal info;");
    let _open = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    let show = [
        "journalctl",
        "--output=json",
        "--no-pager",
        "LIMITER_ZONE=addr",
    ];
    settle("entries", true, || !machine.run(&show).stdout.is_empty());
    let shown = machine.ok(&show);
    let line = shown.lines().next().expect("an entry");
    let entry: Value = serde_json::from_str(line).expect("JSON");
    for (name, value) in [
        ("PRIORITY", "4"),
        ("SYSLOG_IDENTIFIER", "limiter"),
        ("LIMITER_STATUS", "REJECTED"),
        ("LIMITER_SERVER", "web"),
        ("LIMITER_REMOTE_ADDR", CLIENT),
        ("LIMITER_LOCAL_PORT", "8080"),
        ("LIMITER_CONNECTIONS", "1"),
        ("LIMITER_LIMIT", "1"),
        ("LIMITER_ACTION", "drop"),
        ("_SYSTEMD_UNIT", UNIT),
    ] {
        assert_eq!(entry[name], value, "{name} of {line}");
    }
    let message = entry["MESSAGE"].as_str().expect("a sentence");
    let start = "limiting connections by zone \"addr\", client: 127.0.0.5";
    assert!(message.starts_with(start), "{message}");

    // Lines without fields of an event have a priority as well: this is a notice.
    let notices = machine.ok(&[
        "journalctl",
        "--output=cat",
        "--unit",
        UNIT,
        "--priority=5..5",
    ]);
    assert!(notices.contains("servers: 1, zones: 1"), "{notices}");
    // A journal that starts anew is found again.
    machine.ok(&["systemctl", "restart", "systemd-journald.service"]);
    machine.ok(&["limiter", "log-level", "error"]);
    settle("the line", true, || {
        let log = machine.run(&["journalctl", "--output=cat", "--unit", UNIT]);
        log.stdout.contains("log level error")
    });
}

#[test]
fn a_log_file_has_a_directory_and_is_rotated() {
    let world = World::new();
    let machine = restarted(&world, "error_log /var/log/limiter/error.log notice;");
    machine.ok(&["limiter", "log-level", "error"]);
    settle("the line", true, || {
        let log = machine.run(&["cat", "/var/log/limiter/error.log"]);
        log.stdout.contains("log level error")
    });
    machine.ok(&["logrotate", "--force", "/etc/logrotate.d/limiter"]);
    settle("the file is there again", true, || {
        machine
            .run(&["test", "-e", "/var/log/limiter/error.log"])
            .code
            == Some(0)
    });
    machine.ok(&["limiter", "log-level", "info"]);
    settle("the line", true, || {
        let log = machine.run(&["cat", "/var/log/limiter/error.log"]);
        log.stdout.contains("log level info")
    });
    let old = machine.ok(&["cat", "/var/log/limiter/error.log.1"]);
    assert!(
        old.contains("log level error") && !old.contains("log level info"),
        "{old}"
    );
    assert_eq!(machine.property(UNIT, "ActiveState"), "active");
}
