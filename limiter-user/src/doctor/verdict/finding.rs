//! How a diagnosis is put together.

use super::scene::Scene;
use crate::api::doctor::{Advice, Cause, Confidence, Diagnosis, Level};

/// A diagnosis about a listener, without evidence.
pub(super) fn finding(
    scene: &Scene<'_>,
    cause: Cause,
    level: Level,
    confidence: Confidence,
    summary: String,
) -> Diagnosis {
    Diagnosis {
        level,
        cause,
        confidence,
        listener: Some(scene.listener.listen),
        summary: format!("{}: {summary}", scene.listener.listen),
        evidence: Vec::new(),
        advice: Vec::new(),
        avoid: Vec::new(),
    }
}

impl Diagnosis {
    pub(super) fn with_evidence(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// A line, where it goes, and what for.
    pub(super) fn with_line(mut self, place: &str, line: impl Into<String>, text: &str) -> Self {
        self.advice.push(Advice {
            text: text.to_owned(),
            place: Some(place.to_owned()),
            line: Some(line.into()),
        });
        self
    }

    /// Something that no line does.
    pub(super) fn with_advice(mut self, text: impl Into<String>) -> Self {
        self.advice.push(Advice {
            text: text.into(),
            place: None,
            line: None,
        });
        self
    }

    pub(super) fn avoiding(mut self, text: &str) -> Self {
        self.avoid.push(text.to_owned());
        self
    }
}

/// The lines of limiter.conf that cap the connections of a client, or of a network.
pub(super) fn cap(scene: &Scene<'_>, is_network: bool, number: u64) -> String {
    let port = scene.listener.listen.port();
    let number = number.clamp(10, 65_535);
    let (zone, prefixes) = if is_network {
        ("net", " v4_prefix=24 v6_prefix=64")
    } else {
        ("addr", " v6_prefix=64")
    };
    format!(
        "limit_conn_zone $binary_remote_addr zone={zone}:10m{prefixes}; \
         server {{ listen {port}; limit_conn {zone} {number}; }}"
    )
}
