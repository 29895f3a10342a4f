//! Zones: what they have counted, and what is in them.

use prometheus::proto::MetricFamily;

use super::family::{Sample, counter, gauge};
use crate::api::ZoneStatus;

/// What became of attempts, in the words of events: name of the counter, status and reason.
type Outcome = (fn(&ZoneStatus) -> u64, &'static str, &'static str);

const OUTCOMES: [Outcome; 5] = [
    (|zone| zone.passed, "PASSED", "none"),
    (|zone| zone.rejected, "REJECTED", "limit"),
    (|zone| zone.exhausted, "REJECTED", "exhausted"),
    (|zone| zone.rejected_dry_run, "REJECTED_DRY_RUN", "limit"),
    (
        |zone| zone.exhausted_dry_run,
        "REJECTED_DRY_RUN",
        "exhausted",
    ),
];

pub(super) fn families(zones: &[ZoneStatus]) -> Vec<MetricFamily> {
    let each = |value: fn(&ZoneStatus) -> f64| -> Vec<Sample> {
        let zones = zones.iter();
        zones.map(|zone| (of(zone), value(zone))).collect()
    };
    let families = [
        gauge(
            "limiter_zone_info",
            "A zone: what it counts by, and what becomes of a new key when it is full.",
            zones.iter().map(info),
        ),
        counter(
            "limiter_zone_attempts_total",
            "Connection attempts that were accounted, by what became of them.",
            zones.iter().flat_map(attempts),
        ),
        counter(
            "limiter_zone_skipped_total",
            "Connection attempts that were not accounted: exempt clients, empty keys.",
            each(|zone| zone.skipped as f64),
        ),
        counter(
            "limiter_zone_syn_retransmits_total",
            "Repeated packets of attempts that were refused already.",
            each(|zone| zone.syn_retransmits as f64),
        ),
        counter(
            "limiter_zone_excess_total",
            "Connections established in a lost race, and destroyed by the daemon.",
            each(|zone| zone.excess as f64),
        ),
        counter(
            "limiter_zone_untracked_total",
            "Connections that hold no slot because they could not be tracked.",
            each(|zone| zone.untracked as f64),
        ),
        counter(
            "limiter_zone_evicted_total",
            "Slots whose key was gone when they were given back, or, with on_full=evict, when they were audited.",
            each(|zone| zone.evicted as f64),
        ),
        counter(
            "limiter_zone_drift_total",
            "Slots that were counted wrongly, and corrected; with on_full=reject also those whose key was gone.",
            each(|zone| zone.drift as f64),
        ),
        gauge(
            "limiter_zone_connections",
            "Open connections that hold a slot.",
            each(|zone| zone.connections as f64),
        ),
        gauge(
            "limiter_zone_keys",
            "Keys with at least one connection.",
            each(|zone| zone.keys as f64),
        ),
        gauge(
            "limiter_zone_capacity_keys",
            "Keys with at least one connection at the most.",
            each(|zone| zone.capacity as f64),
        ),
        gauge(
            "limiter_zone_free_ratio",
            "Part of the capacity that is free for new keys, 0 to 1.",
            each(free),
        ),
        gauge(
            "limiter_zone_memory_bytes",
            "Memory that the kernel charges for the table of keys.",
            each(|zone| zone.memory_bytes as f64),
        ),
    ];
    families.into_iter().flatten().collect()
}

fn info(zone: &ZoneStatus) -> Sample {
    let mut labels = of(zone);
    labels.push(("key", zone.key.clone()));
    labels.push(("on_full", zone.on_full.to_string()));
    (labels, 1.0)
}

fn attempts(zone: &ZoneStatus) -> impl Iterator<Item = Sample> {
    OUTCOMES.iter().map(|(count, status, reason)| {
        let mut labels = of(zone);
        labels.push(("status", (*status).to_owned()));
        labels.push(("reason", (*reason).to_owned()));
        (labels, count(zone) as f64)
    })
}

fn free(zone: &ZoneStatus) -> f64 {
    if zone.capacity == 0 {
        return 0.0;
    }
    zone.capacity.saturating_sub(zone.keys) as f64 / zone.capacity as f64
}

fn of(zone: &ZoneStatus) -> Vec<(&'static str, String)> {
    vec![("zone", zone.zone.clone())]
}
