//! What `check` says.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{ServerStatus, UpstreamPolicy};
use crate::policy::{LogFormat, LogLevel, OnFull, Others, XdpMode, origin::Origins};

/// `check --json`: a policy that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Zones that it would make.
    pub zones: Vec<ZonePolicy>,
    /// Servers with everything that they inherit.
    pub servers: Vec<ServerStatus>,
    /// Servers that processes connect to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<UpstreamPolicy>,
    /// Cgroups to attach to; empty: the root of the cgroup2 hierarchy.
    pub cgroups: Vec<String>,
    /// Interfaces to attach to.
    pub interfaces: Vec<InterfacePolicy>,
    /// `stderr`, `journal` or a path.
    pub error_log: String,
    /// From which level on.
    pub error_log_level: LogLevel,
    /// What its lines look like.
    #[serde(default)]
    pub error_log_format: LogFormat,
    /// Control socket, if the configuration names one.
    pub control: Option<String>,
    /// Group whose members may do everything on it, as written.
    #[serde(default)]
    pub control_group: Option<String>,
    /// What those may do on it who are neither root nor in the group.
    #[serde(default)]
    pub control_others: Others,
    /// Where counters are served over TCP.
    #[serde(default)]
    pub metrics: Vec<SocketAddr>,
    /// Keys of each zone that have series of their own at the most.
    #[serde(default)]
    pub metrics_top: u16,
    /// Whether the kernel measures how long the programs run.
    #[serde(default)]
    pub metrics_run_time: bool,
    /// Where all of that comes from, in the same shape and under the same names.
    pub origins: Origins,
}

/// One interface of a policy that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfacePolicy {
    /// Name.
    pub interface: String,
    /// Where the program would run.
    pub mode: XdpMode,
}

/// One zone of a policy that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZonePolicy {
    /// Name.
    pub zone: String,
    /// Key as written.
    pub key: String,
    /// Bits of an IPv4 client's address that would count, if the zone counts by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4_prefix: Option<u8>,
    /// Bits of an IPv6 client's address that would count, if the zone counts by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6_prefix: Option<u8>,
    /// What would become of a new key when the zone is full.
    #[serde(default)]
    pub on_full: OnFull,
    /// Live keys at the most.
    pub capacity: u64,
    /// Configured size, bytes.
    pub size_bytes: u64,
    /// Memory that the kernel of this machine would charge for the zone's map, bytes.
    pub memory_bytes: u64,
}
