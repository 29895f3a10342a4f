//! One file a map, or a few that belong together; each exports verbs only.

pub mod attempts;
pub mod candidates;
pub mod counters;
pub mod events;
pub mod policy;
pub mod tokens;
pub mod zones;
