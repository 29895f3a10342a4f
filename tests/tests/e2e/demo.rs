//! The first command of the README.

use std::{path::PathBuf, process::Command};

use nix::sys::signal::Signal;
use tests::{
    cgroup, limiter,
    privilege::require_root,
    process::{Process, run},
    settle::{PATIENCE, settle},
};

#[test]
fn the_demo_shows_verdicts_and_counts_and_ends_by_itself() {
    require_root();
    let output = run(demo(), None);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for words in [
        "10 established",
        "5 without an answer",
        "REJECTED limit zone=addr",
        "REJECTED_DRY_RUN limit zone=addr",
        "passed 14, rejected 6, rejected in dry run 5",
        "0 connections, 0 keys",
    ] {
        assert!(output.stdout.contains(words), "{words}: {}", output.stdout);
    }
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    require_root();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut demo = Process::start(demo(), None, None);
        let cgroup = own_cgroup(&demo);
        wait_for_a_refusal(&demo);
        assert!(cgroup.exists());
        demo.signal(signal);
        assert_eq!(demo.wait(PATIENCE).code(), Some(1));
        settle("interrupted", true, || {
            demo.stderr().text().contains("interrupted")
        });
        assert!(!cgroup.exists(), "{} is left", cgroup.display());
    }
}

#[test]
fn a_killed_demo_is_cleaned_up_after_by_the_next() {
    require_root();
    let mut killed = Process::start(demo(), None, None);
    let cgroup = own_cgroup(&killed);
    wait_for_a_refusal(&killed);
    killed.signal(Signal::SIGKILL);
    killed.wait(PATIENCE);

    let output = run(demo(), None);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(!cgroup.exists(), "{} is left", cgroup.display());
}

fn demo() -> Command {
    let mut command = limiter::command();
    command.arg("demo");
    command
}

fn wait_for_a_refusal(demo: &Process) {
    let next = || demo.stdout().next(PATIENCE).expect("the demo goes on");
    while !next().contains("REJECTED") {}
}

fn own_cgroup(demo: &Process) -> PathBuf {
    cgroup::root().join(format!("limiter-demo-{}", demo.id()))
}
