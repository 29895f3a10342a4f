//! `limiter doctor`: each way in which connections run out, brought about for real, and named.

use std::sync::atomic::{AtomicBool, Ordering};

use ::limiter::api::doctor::{Cause, Confidence, DoctorReport, Level, ListenerReport};
use tests::{
    World, limiter,
    process::{Output, run},
};

mod clients;
mod healthy;
mod nginx;
mod reach;
mod scale;
mod server;
mod usage;

/// Long enough for a server that works to answer, and short enough for many tests.
const INTERVAL: &str = "500ms";

/// Tells threads that make a load that it is over, also if the test panics.
#[derive(Default)]
struct Load(AtomicBool);

impl Load {
    fn goes_on(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    fn end_at_drop(&self) -> impl Drop + '_ {
        struct End<'a>(&'a Load);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.0.store(true, Ordering::Relaxed);
            }
        }
        End(self)
    }
}

/// Runs it in the namespace of a test. There is a daemon only if the test has started one.
fn doctor(world: &World, arguments: &[&str]) -> Output {
    let mut command = limiter::command();
    command.arg("doctor");
    if !arguments.contains(&"--interval") {
        command.args(["--interval", INTERVAL]);
    }
    command
        .args(arguments)
        .arg("--control")
        .arg(world.control());
    run(command, Some(&world.netns))
}

/// The same as JSON; the exit code must be that of the verdict.
#[track_caller]
fn examine(world: &World, arguments: &[&str]) -> DoctorReport {
    let output = doctor(world, &[&["--json"], arguments].concat());
    let report: DoctorReport = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {} {}", output.stdout, output.stderr));
    let level = report.verdict.level;
    assert_eq!(output.code, Some(level.code().into()), "{level:?}");
    report
}

/// What the verdict must be. Returns the listener that it is about.
#[track_caller]
fn must_say(
    report: &DoctorReport,
    level: Level,
    cause: Cause,
    confidence: Confidence,
) -> &ListenerReport {
    let verdict = &report.verdict;
    assert_eq!(
        (verdict.level, verdict.cause, verdict.confidence),
        (level, cause, confidence),
        "{report:#?}"
    );
    let mut listeners = report.listeners.iter();
    listeners
        .find(|it| Some(it.listen) == verdict.listener)
        .unwrap_or_else(|| panic!("it is about no listener: {report:#?}"))
}
