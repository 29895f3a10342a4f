//! One file a map, or a few that belong together; each exports verbs only.

pub mod attempts;
pub mod audit;
pub mod candidates;
pub mod counters;
pub mod endpoints;
pub mod events;
pub mod interfaces;
pub mod listening;
pub mod networks;
pub mod outgoing;
pub mod packets;
pub mod policy;
pub mod queue;
pub mod record;
pub mod standing;
pub mod tallies;
pub mod targets;
pub mod tokens;
pub mod upstreams;
pub mod waiters;
pub mod zones;
