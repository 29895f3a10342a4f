//! The JSON shapes of the control socket and of `--json`. Names are a contract; more fields may
//! follow.

use serde::{Deserialize, Serialize};

pub use self::{
    audit::{AuditReport, ZoneAuditReport},
    change::{
        Audit, Detach, Reload, ResetCounters, SetAction, SetDryRun, SetExempt, SetLimit,
        SetLogLevel,
    },
    connection::{ConnectionList, ConnectionStatus, ProcessStatus, SlotStatus, TcpState},
    event::{Event, EventState, HistoryFrom, Missed, Reason},
    key::KeyParts,
    policy::{InterfacePolicy, PolicyStatus, ZonePolicy},
    reload::{Reloaded, ReloadedZone, ZoneChange},
    server::{Difference, LimitStatus, OverrideStatus, ServerStatus, Setting},
    upstream::{
        QueuePolicy, QueueStatus, UpstreamPolicy, UpstreamServerPolicy, UpstreamServerStatus,
        UpstreamStatus,
    },
};
use crate::policy::{OnFull, XdpMode};

mod audit;
mod change;
mod connection;
pub mod doctor;
mod event;
mod key;
pub mod nginx;
mod policy;
mod reload;
mod server;
mod upstream;

/// `GET /status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Process of the daemon.
    pub pid: u32,
    /// Seconds since the daemon became ready.
    pub uptime_s: u64,
    /// What is attached where.
    pub attached: Vec<Attached>,
    /// Directory in which maps and links are pinned: the kernel goes on if the daemon is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// The policy in force, server by server.
    pub servers: Vec<ServerStatus>,
    /// All zones.
    pub zones: Vec<ZoneStatus>,
    /// Servers that processes connect to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<UpstreamStatus>,
    /// The event path since start.
    pub events: EventStatus,
    /// Packets since start that were not understood.
    pub packets: PacketStatus,
}

/// One attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// `cgroup`, `interface` or `netns`.
    pub kind: String,
    /// Path or name.
    pub target: String,
    /// Programs attached there; none while it is waited for.
    pub programs: Vec<String>,
    /// `native` or `generic`: where on the interface the program runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<XdpMode>,
    /// Why nothing is attached there at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// One zone: `GET /zones` gives a list of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Name.
    pub zone: String,
    /// Key as written.
    pub key: String,
    /// Bits of an IPv4 client's address that count, if the zone counts by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4_prefix: Option<u8>,
    /// Bits of an IPv6 client's address that count, if the zone counts by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6_prefix: Option<u8>,
    /// What becomes of a new key when the zone is full.
    #[serde(default)]
    pub on_full: OnFull,
    /// Live keys at the most.
    pub capacity: u64,
    /// Live keys.
    pub keys: u64,
    /// Connections that hold a slot.
    pub connections: u64,
    /// Connections established within the limit.
    pub passed: u64,
    /// Attempts not accounted.
    pub skipped: u64,
    /// Attempts refused because the key was at its limit.
    pub rejected: u64,
    /// Connections that dry run let through although the key was at its limit.
    pub rejected_dry_run: u64,
    /// Attempts refused because the zone was full.
    pub exhausted: u64,
    /// Connections that dry run let through although the zone was full.
    pub exhausted_dry_run: u64,
    /// Repeated packets of attempts that were refused already.
    pub syn_retransmits: u64,
    /// Connections established in a lost race and destroyed by the daemon.
    pub excess: u64,
    /// Connections that hold no slot: no memory for their token, or other CPUs won every time.
    pub untracked: u64,
    /// Slots whose entry was gone when they were given back, or, in a zone with `on_full=evict`, when the
    /// audit gave their connections new ones.
    pub evicted: u64,
    /// Slots by which the audit has corrected counts, and, in a zone with `on_full=reject`, slots whose entry
    /// was gone when it gave their connections new ones.
    pub drift: u64,
    /// Memory that the kernel charges for the zone's map, bytes.
    pub memory_bytes: u64,
    /// The keys with most connections; only in `GET /zones/NAME?top=N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<Vec<KeyStatus>>,
    /// The keys with most refusals, whether they have connections or not; only in
    /// `GET /zones/NAME?top=N&by=rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_rejected: Option<Vec<KeyStatus>>,
}

/// By what keys stand out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TopBy {
    /// Most connections that hold a slot.
    #[default]
    Connections,
    /// Most refused attempts since the key came into the map.
    Rejected,
}

/// One key of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// What is counted.
    #[serde(flatten)]
    pub parts: KeyParts,
    /// Connections that hold a slot.
    pub connections: u32,
    /// Attempts refused since the key came into the map, those that only dry run let through included.
    pub rejected: u64,
}

/// The event path since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventStatus {
    /// Events sent by the programs.
    pub sent: u64,
    /// Events lost because the ring was full.
    pub lost: u64,
    /// Events held back by the budgets.
    pub suppressed: u64,
}

/// Packets since start that the programs let pass because they did not understand them, by reason.
/// What is in them, the kernel's own stack and the programs behind it see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketStatus {
    /// Frames of another protocol than IP.
    pub not_ip: u64,
    /// Packets of another protocol than TCP.
    pub not_tcp: u64,
    /// Fragments after the first.
    pub fragment: u64,
    /// Packets that end inside a header.
    pub truncated: u64,
    /// Frames with more than two VLAN tags.
    pub too_many_tags: u64,
    /// Packets with more than eight IPv6 extension headers.
    pub too_many_extensions: u64,
}

/// Body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// nginx's error object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// HTTP status.
    pub status: u16,
    /// A sentence.
    pub text: String,
    /// A name for programs, for instance `LimitConnNotFound`.
    pub code: String,
}
