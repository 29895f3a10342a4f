//! The unit, under a real systemd: everything that the daemon does is possible behind its hardening.

use std::collections::BTreeSet;

use tests::{Machine, World, package, port, settle};

use super::{PACKAGE, UNIT, settle_active};
use crate::{CLIENT, SERVER};

/// Installed, with more in its configuration.
pub(super) fn installed(world: &World, configuration: &str) -> Machine {
    let machine = Machine::boot(world, &[package::built()]);
    machine.ok(&["dpkg", "--install", PACKAGE]);
    settle_active(&machine);
    configure(&machine, configuration);
    machine.ok(&["systemctl", "reload", UNIT]);
    machine
}

fn configure(machine: &Machine, configuration: &str) {
    machine.sh(&format!(
        "cat > /etc/limiter/limiter.conf <<'END'\n{configuration}\nEND"
    ));
}

#[test]
fn under_its_unit_the_daemon_refuses_in_every_way_and_adopts() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let first = world.open(CLIENT, server.address());
    let limits = "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 1;
        server { listen 8080; } attach interface lo; metrics 9145; metrics_run_time on;";
    let machine = installed(&world, limits);
    // It was open before.
    world.must_be_refused(CLIENT, server.address());

    let metrics = "127.0.0.1:9145".parse().expect("an address");
    let told = port::get(&world.netns, metrics, "/metrics").body;
    for name in ["limiter_program_runs_total{", "process_open_fds "] {
        assert!(told.contains(name), "{name}: {told}");
    }

    machine.ok(&["limiter", "action", "reset"]);
    world.must_be_reset(CLIENT, server.address());
    machine.ok(&["limiter", "action", "close", "delay=100ms"]);
    let _waiting = world.must_wait(CLIENT, server.address());

    configure(&machine, &limits.replace("addr 1", "addr 2"));
    machine.ok(&["systemctl", "reload", UNIT]);
    let second = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    drop((first, second));

    // An error in the file fails the reload and changes nothing.
    configure(&machine, "limit_con addr 1;");
    let reload = machine.run(&["systemctl", "reload", UNIT]);
    assert_ne!(reload.code, Some(0));
    assert_eq!(machine.property(UNIT, "ActiveState"), "active");
    assert!(machine.ok(&["limiter", "status"]).contains("addr 2"));

    machine.ok(&["systemctl", "stop", UNIT]);
    assert_eq!(machine.property(UNIT, "Result"), "success");
    machine.ok(&["journalctl", "--sync"]);
    let log = machine.ok(&["journalctl", "--unit", UNIT, "--output=cat", "--no-pager"]);
    assert!(
        log.contains("stopped, nothing is limited any more"),
        "{log}"
    );
    for denied in ["not permitted", "ermission denied", "warn"] {
        assert!(!log.contains(denied), "{log}");
    }
}

#[test]
fn a_daemon_that_is_killed_loses_nothing() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limits = "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 2;
        server { listen 8080; }";
    let machine = installed(&world, limits);
    let mut open = world.open_many(CLIENT, server.address(), 2);
    let before = machine.property(UNIT, "MainPID");
    machine.ok(&["systemctl", "kill", "--signal=KILL", UNIT]);
    // Whether there is a daemon at the moment or not.
    world.must_be_refused(CLIENT, server.address());
    drop(open.pop());
    settle("starts after a failure", "1".to_owned(), || {
        machine.property(UNIT, "NRestarts")
    });
    settle_active(&machine);
    assert_ne!(machine.property(UNIT, "MainPID"), before);
    let log = machine.sh("journalctl --sync; journalctl --unit limiter --output=cat --no-pager");
    assert!(log.contains("took over"), "{log}");
    open.push(world.open(CLIENT, server.address()));
    world.must_be_refused(CLIENT, server.address());
    let zone = machine.ok(&["limiter", "zones", "--json"]);
    let zones: serde_json::Value = serde_json::from_str(&zone).expect("JSON");
    let counts = |name: &str| zones[0][name].as_u64().expect(name);
    assert_eq!(
        (counts("passed"), counts("connections"), counts("drift")),
        (3, 2, 0),
        "{zones}"
    );
}

#[test]
fn a_daemon_that_hangs_is_started_anew() {
    let world = World::new();
    let machine = installed(
        &world,
        "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 1;
        control /run/limiter/limiter.sock group=adm others=read;",
    );
    machine.sh(
        "mkdir /run/systemd/system/limiter.service.d
        printf '[Service]\\nWatchdogSec=1\\nTimeoutAbortSec=1\\n' > /run/systemd/system/limiter.service.d/quick.conf
        systemctl daemon-reload; systemctl restart limiter",
    );
    let before = machine.property(UNIT, "MainPID");
    machine.sh(&format!("kill -STOP {before}"));
    settle("starts after a failure", "1".to_owned(), || {
        machine.property(UNIT, "NRestarts")
    });
    settle_active(&machine);
    let pid = machine.property(UNIT, "MainPID");
    assert_ne!(pid, before);
    machine.ok(&["limiter", "status"]);
    // What giving the socket away takes is given up afterwards: CAP_CHOWN is the lowest bit.
    let socket = machine.sh("stat --format '%a %U:%G' /run/limiter/limiter.sock");
    assert_eq!(socket.trim(), "666 root:adm");
    let threads = machine.sh(&format!("cat /proc/{pid}/task/*/status"));
    let permitted: BTreeSet<_> = threads
        .lines()
        .filter_map(|line| line.strip_prefix("CapPrm:"))
        .map(|bits| bits.trim())
        .collect();
    assert_eq!(permitted, BTreeSet::from(["000000c000283000"]));
}
