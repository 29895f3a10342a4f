//! A short soak, so that the long one can be started at any time.

use std::process::Command;

use tests::{
    process::{Process, binary},
    settle::PATIENCE,
};

#[test]
fn what_is_counted_is_what_is_open_whatever_happens_for_a_quarter_of_a_minute() {
    let _heavy = crate::heavy();
    let mut command = Command::new(binary("soak", "LIMITER_SOAK_BIN"));
    command.args(["--seconds", "15"]);
    let mut soak = Process::start(command, None, None);
    let status = soak.wait(4 * PATIENCE);
    let (report, said) = (soak.stdout().text(), soak.stderr().text());
    assert!(status.success(), "{report}\n{said}");
    assert!(report.contains("no violations"), "{report}");
}
