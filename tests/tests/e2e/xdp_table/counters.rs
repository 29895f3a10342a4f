//! Everything that the daemon counts in a zone, and of packets that were not understood.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::Limiter;

use super::Expected;
use crate::ZONE;

/// By the names that they have in JSON.
pub type Counters = BTreeMap<String, u64>;

/// Counters that differ, and by how much.
pub type Changes = Vec<(String, u64)>;

/// As they are now.
#[track_caller]
pub fn counters(limiter: &Limiter) -> Counters {
    let status = limiter.http("GET", "/status", None).json();
    let zone = &status["zones"][0];
    assert_eq!(zone["zone"], ZONE);
    let numbers = |object: &Value| -> Vec<(String, u64)> {
        object
            .as_object()
            .unwrap_or_else(|| panic!("zones and packets in {status}"))
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_u64()?)))
            .collect()
    };
    let all = [numbers(zone), numbers(&status["packets"])].concat();
    let count = all.len();
    let counters: Counters = all.into_iter().collect();
    assert_eq!(counters.len(), count, "no name stands for two counters");
    counters
}

/// What is different.
pub fn changes(before: &Counters, after: &Counters) -> Changes {
    after
        .iter()
        .filter(|(name, after)| before[*name] != **after)
        .map(|(name, after)| (name.clone(), after.wrapping_sub(before[name])))
        .collect()
}

/// What has to be different, in the same form.
pub fn named(expected: Expected) -> Vec<(String, u64)> {
    let mut changes: Vec<_> = expected
        .changes
        .iter()
        .map(|(name, by)| ((*name).to_owned(), *by))
        .collect();
    changes.sort();
    changes
}
