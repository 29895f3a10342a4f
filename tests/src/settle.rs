//! Waits that have an end.

use std::{
    fmt::Debug,
    thread::sleep,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up. Not a figure that anything is measured by.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Calls `look` until it answers `expected`.
///
/// # Panics
/// With what was seen last, when [`PATIENCE`] is over.
#[track_caller]
pub fn settle<T: PartialEq + Debug>(what: &str, expected: T, mut look: impl FnMut() -> T) {
    let mut seen = None;
    let done = poll(PATIENCE, || {
        let value = look();
        let done = value == expected;
        seen = Some(value);
        done
    });
    if !done {
        let seen = seen.expect("poll looks at least once");
        panic!("{what}: expected {expected:?}, and it stays at {seen:?}");
    }
}

/// Calls `done` until it is true, at least once; false when time is up.
pub fn poll(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
}
