//! The Debian package, installed where nothing else is touched: in a [`Machine`] of its own, with a
//! systemd of its own.

mod capabilities;
mod debian;
mod logs;
mod notify;
mod service;
mod source;

use tests::{
    Machine,
    settle::{PATIENCE, poll},
};

/// What the service is called.
const UNIT: &str = "limiter.service";
/// Where [`tests::Machine`] has the package.
const PACKAGE: &str = "/root/limiter-test.deb";

/// Waits until the service is up: who installs it does not.
#[track_caller]
fn settle_active(machine: &Machine) {
    let up = poll(PATIENCE, || {
        machine.property(UNIT, "ActiveState") == "active"
    });
    let log = || machine.run(&["journalctl", "--unit", UNIT, "--no-pager"]);
    assert!(up, "{UNIT} does not start: {}", log().stdout);
}
