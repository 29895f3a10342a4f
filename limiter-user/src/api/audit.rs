//! The answer to `POST /audit`.

use serde::{Deserialize, Serialize};

/// What a pass of the audit came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// How long it took, ms.
    pub duration_ms: u64,
    /// Slots that open connections held of keys that were gone: they hold new ones now.
    pub lost: u64,
    /// Every zone.
    pub zones: Vec<ZoneAuditReport>,
}

/// What it came to in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneAuditReport {
    /// Name.
    pub zone: String,
    /// Keys with connections.
    pub keys: u64,
    /// Connections, by the counts that limits go by.
    pub connections: u64,
    /// Connections that were counted again. While connections come and go it may be another number
    /// without anything being wrong: keys are read one after the other.
    pub recount: u64,
    /// Slots by which counts of keys differ for the first time. What differs in the next pass, too, is
    /// corrected then.
    pub suspected: u64,
    /// Slots by which counts of keys were corrected.
    pub corrected: u64,
    /// By how much the number of live keys was corrected.
    pub keys_corrected: u64,
}
