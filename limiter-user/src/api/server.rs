//! A server in force.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::policy::{ActionKind, LogLevel};

/// One server in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Name.
    pub server: String,
    /// As in the configuration; empty: every port.
    pub listen: Vec<String>,
    /// Limits in force.
    pub limits: Vec<LimitStatus>,
    /// Networks whose clients are not accounted.
    #[serde(default)]
    pub exempt: Vec<IpNet>,
    /// Dry run in force.
    pub dry_run: bool,
    /// Level of log lines about refusals.
    pub log_level: LogLevel,
    /// How attempts are refused.
    pub action: ActionKind,
    /// Milliseconds until a refused connection is closed; only with the action `close`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u32>,
}

/// One limit in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitStatus {
    /// Zone.
    pub zone: String,
    /// Connections per key at the most.
    pub limit: u32,
    /// Other numbers for clients of these networks; the smallest network with the client counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverrideStatus>,
}

/// The limit of one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideStatus {
    /// Network.
    pub network: IpNet,
    /// Connections per key at the most.
    pub limit: u32,
}
