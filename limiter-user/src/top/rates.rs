//! From two readings to numbers per second.

use std::time::Duration;

use crate::api::ZoneStatus;

/// What a zone did between two readings, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Connections established within the limit.
    pub passed: f64,
    /// Attempts refused, for whatever reason.
    pub refused: f64,
    /// Attempts that dry run let through.
    pub dry_run: f64,
}

impl Rates {
    /// Of one zone. Nothing, if a reset lies between the two.
    pub fn between(before: &ZoneStatus, now: &ZoneStatus, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        if seconds <= 0.0 {
            return Self::default();
        }
        let per_second = |count: fn(&ZoneStatus) -> u64| {
            count(now).saturating_sub(count(before)) as f64 / seconds
        };
        Self {
            passed: per_second(|zone| zone.passed),
            refused: per_second(|zone| zone.rejected + zone.exhausted),
            dry_run: per_second(|zone| zone.rejected_dry_run + zone.exhausted_dry_run),
        }
    }

    /// Of several zones together. A connection that several zones count is counted by each, so the
    /// largest is the best that can be said of what passes.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            passed: self.passed.max(other.passed),
            refused: self.refused + other.refused,
            dry_run: self.dry_run.max(other.dry_run),
        }
    }
}
