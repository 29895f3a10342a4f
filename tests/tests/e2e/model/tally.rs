//! What was tried, so that nothing is thought to be tested that never occurred.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use super::reference::{Decision, Model, Why};

/// How many cases there were of each kind.
#[derive(Debug, Default)]
pub struct Tally {
    pub connections: BTreeMap<&'static str, u64>,
    pub frames: BTreeMap<&'static str, u64>,
}

/// What has to occur among connections, and among frames that are judged.
pub const KINDS: [&str; 8] = [
    "below the limit",
    "dry run",
    "exempt",
    "nested overrides",
    "not limited",
    "overridden",
    "refused by exhaustion",
    "refused by limit",
];

/// What has to occur among frames besides.
pub const KINDS_OF_FRAMES: [&str; 5] = [
    "answered with a RST",
    "no attempt",
    "nobody listens",
    "not understood",
    "repeated",
];

impl Tally {
    /// Takes what another one has.
    pub fn add(&mut self, other: Self) {
        for (all, more) in [
            (&mut self.connections, other.connections),
            (&mut self.frames, other.frames),
        ] {
            for (kind, count) in more {
                *all.entry(kind).or_default() += count;
            }
        }
    }

    /// Frames whose verdict was compared.
    pub fn packets(&self) -> u64 {
        let besides = ["overridden", "nested overrides", "answered with a RST"];
        let kinds = self.frames.iter();
        kinds
            .filter(|(kind, _)| !besides.contains(kind))
            .map(|(_, count)| count)
            .sum()
    }

    /// Kinds that never occurred.
    pub fn missing(&self) -> Vec<String> {
        let connections = KINDS
            .iter()
            .filter(|it| !self.connections.contains_key(*it));
        let frames = KINDS.iter().chain(&KINDS_OF_FRAMES);
        let frames = frames.filter(|it| !self.frames.contains_key(*it));
        connections
            .map(|kind| format!("connection: {kind}"))
            .chain(frames.map(|kind| format!("frame: {kind}")))
            .collect()
    }
}

/// One more.
pub fn count(kinds: &mut BTreeMap<&'static str, u64>, kind: &'static str) {
    *kinds.entry(kind).or_default() += 1;
}

/// One more that the model has judged.
pub fn count_decision(
    kinds: &mut BTreeMap<&'static str, u64>,
    model: &Model,
    client: IpAddr,
    to: SocketAddr,
) {
    count(kinds, kind(model.decide(client, to)));
    if model.is_overridden(client, to) {
        count(kinds, "overridden");
    }
    if model.is_nested(client, to) {
        count(kinds, "nested overrides");
    }
}

/// The kind of a decision.
fn kind(decision: Decision) -> &'static str {
    match decision {
        Decision::NotLimited => "not limited",
        Decision::Exempt => "exempt",
        Decision::DryRun => "dry run",
        Decision::BelowLimits => "below the limit",
        Decision::Refused {
            why: Why::Limit, ..
        } => "refused by limit",
        Decision::Refused {
            why: Why::Exhausted,
            ..
        } => "refused by exhaustion",
    }
}
