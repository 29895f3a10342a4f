//! Servers that processes connect to.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::policy::LogLevel;

/// One `upstream` of the policy in force, with what is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// Name.
    pub upstream: String,
    /// Its servers.
    pub servers: Vec<UpstreamServerStatus>,
    /// Its queue, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueStatus>,
    /// Whether everybody passes.
    pub dry_run: bool,
    /// From which level on refusals are logged.
    pub log_level: LogLevel,
}

/// One server of an upstream. Its counters begin with it, and a reset of zones does not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamServerStatus {
    /// Address and port.
    pub server: SocketAddr,
    /// Connections at the most; 0: as many as want to.
    pub max_conns: u32,
    /// Connections that hold a slot, from connect() to close.
    pub active: u64,
    /// Connects that got a slot within the limit.
    pub passed: u64,
    /// Connects that were refused.
    pub rejected: u64,
    /// Connects that dry run let through over the limit.
    pub rejected_dry_run: u64,
    /// Connects that were let through and not counted: no memory to remember their slot.
    pub untracked: u64,
}

/// The `queue` of an upstream, with what is counted. Its counters begin with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Connects that may wait at the same time.
    pub max: u32,
    /// How long each may wait, milliseconds.
    pub timeout_ms: u32,
    /// Connects that wait.
    pub queued: u64,
    /// Connects that have waited and got a slot.
    pub waited: u64,
    /// Connects that were refused because so many waited already; each is a refusal of its server, too.
    pub rejected: u64,
    /// Connects that have waited as long as they may, in vain.
    pub timed_out: u64,
    /// The longest that a connect has waited, milliseconds.
    pub longest_wait_ms: u64,
}

/// The `queue` of an upstream that is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePolicy {
    /// Connects that may wait at the same time.
    pub max: u32,
    /// How long each may wait, milliseconds.
    pub timeout_ms: u32,
}

/// One `upstream` of a policy that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamPolicy {
    /// Name.
    pub upstream: String,
    /// Its servers.
    pub servers: Vec<UpstreamServerPolicy>,
    /// Its queue, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePolicy>,
    /// Whether everybody would pass.
    pub dry_run: bool,
    /// From which level on refusals would be logged.
    pub log_level: LogLevel,
}

/// One server of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamServerPolicy {
    /// Address and port.
    pub server: SocketAddr,
    /// Connections at the most; 0: as many as want to.
    pub max_conns: u32,
}
