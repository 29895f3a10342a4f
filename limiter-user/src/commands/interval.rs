//! `--interval`: how often a command looks.

use std::time::Duration;

use crate::time;

/// From 100 ms to an hour.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    match time::parse(text) {
        Some(ms @ 100..=3_600_000) => Ok(Duration::from_millis(ms)),
        _ => Err("expected a time from 100ms to 1h"),
    }
}
