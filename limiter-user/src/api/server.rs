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
    /// What commands have changed since the policy was loaded, from its file or from flags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Difference>,
}

/// A value of a server that differs from the policy as it was loaded. Values are written as in the
/// configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The directive.
    pub setting: Setting,
    /// The zone, if the value is one for a zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// As it was loaded; absent: it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<String>,
    /// In force; absent: it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

/// A directive whose value can be changed while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// NUMBER of a zone.
    LimitConn,
    /// One network; there is one [`Difference`] for each that was added or removed.
    LimitConnExempt,
    /// `on` or `off`.
    LimitConnDryRun,
    /// A level.
    LimitConnLogLevel,
    /// With its parameters.
    LimitConnAction,
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
