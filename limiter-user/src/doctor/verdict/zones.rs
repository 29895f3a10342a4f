//! limiter's own tables.

use super::scene::NEAR;
use crate::api::doctor::{Advice, Cause, Confidence, Diagnosis, Level, LimitsReport};

/// Zones that have no room for new keys, or soon will have none.
pub(super) fn nearly_full(limits: &LimitsReport) -> Vec<Diagnosis> {
    let zones = limits
        .zones
        .iter()
        .filter(|zone| zone.refuses_when_full && zone.used_percent >= NEAR);
    zones
        .map(|zone| {
            let is_full = zone.keys >= zone.capacity;
            let summary = format!(
                "zone {} of limiter {}: {} of {} keys",
                zone.zone,
                if is_full {
                    "is full, and new clients are refused"
                } else {
                    "is nearly full"
                },
                zone.keys,
                zone.capacity
            );
            // 16 384 keys per MiB.
            let megabytes = (2 * zone.capacity).div_ceil(16_384).max(1);
            Diagnosis {
                level: if is_full {
                    Level::Critical
                } else {
                    Level::Warning
                },
                cause: Cause::ZoneFull,
                confidence: Confidence::High,
                listener: None,
                summary,
                evidence: vec![format!("{} attempts were refused so far", zone.rejected)],
                advice: vec![Advice {
                    text: "make it larger (behind its KEY, the rest as it is), then `limiter reload`"
                        .to_owned(),
                    place: Some("limiter.conf".to_owned()),
                    line: Some(format!("zone={}:{megabytes}m", zone.zone)),
                }],
                avoid: vec![
                    "do not set on_full=evict without need: whoever is evicted is not limited any more"
                        .to_owned(),
                ],
            }
        })
        .collect()
}
