//! Wall clock and monotonic clock, passed in so that tests own the time.

use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// UTC.
    fn wall(&self) -> Timestamp;

    /// `CLOCK_MONOTONIC`, ns: the clock of the kernel's events (`bpf_ktime_get_ns`).
    fn monotonic_ns(&self) -> u64;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic_ns(&self) -> u64 {
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
            let elapsed = Duration::from(time);
            u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
        })
    }
}
