//! The answer to `POST /reload`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ServerStatus;

/// The policy as it was read again, and what it came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Every server, as it is now.
    pub servers: Vec<ServerStatus>,
    /// Every zone, and those that are no more.
    pub zones: Vec<ReloadedZone>,
    /// Connections that nothing counted before, and that are counted now.
    pub adopted: u64,
    /// Connections that should be counted now, and could not be: they were closed meanwhile, or the
    /// kernel is too old.
    pub missed: u64,
    /// What was hardly meant that way, and what takes effect at the next start only. Each may have
    /// several lines.
    pub warnings: Vec<String>,
}

/// What became of one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadedZone {
    /// Its name.
    pub zone: String,
    /// What became of it.
    pub change: ZoneChange,
}

/// What became of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneChange {
    /// It is as it was, with all it has counted.
    Kept,
    /// It has another size, or does something else when it is full; with all it has counted.
    Resized,
    /// It counts by something else: it starts afresh, with the connections that are open.
    OtherKey,
    /// It is new, with the connections that are open.
    New,
    /// It is gone.
    Removed,
}

/// What stands in the log.
impl fmt::Display for ZoneChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "kept",
            Self::Resized => "resized, keeps its counts",
            Self::OtherKey => "has another key, starts afresh with the connections that are open",
            Self::New => "new, starts with the connections that are open",
            Self::Removed => "removed",
        })
    }
}
