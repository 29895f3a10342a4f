//! What `limiter doctor` found.

use serde::{Deserialize, Serialize};

pub use self::{
    diagnosis::{Advice, Cause, Confidence, Diagnosis, Level},
    listener::{
        ActivityReport, ListenerReport, QueueReport, SourceReport, SourcesReport, StateReport,
    },
    process::{NginxReport, ProcessReport, StubStatus, UpstreamReport, WorkerRole},
};

mod diagnosis;
mod listener;
mod process;

/// One examination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoctorReport {
    /// When it was over.
    pub time: jiff::Timestamp,
    /// Milliseconds between the two samples.
    pub interval_ms: u64,
    /// The dominant cause.
    pub verdict: Diagnosis,
    /// What was found besides, the worst first.
    pub also: Vec<Diagnosis>,
    /// The network namespace.
    pub kernel: KernelReport,
    /// The listeners that were looked at, those in trouble first.
    pub listeners: Vec<ListenerReport>,
    /// The processes that have them.
    pub processes: Vec<ProcessReport>,
    /// Those of nginx.
    pub nginx: Vec<NginxReport>,
    /// What the daemon says; null without one.
    pub limits: Option<LimitsReport>,
    /// What could not be seen, and why; one sentence each.
    pub unseen: Vec<String>,
}

/// Settings and counters of a network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KernelReport {
    /// `net.core.somaxconn`: no accept queue is longer.
    pub somaxconn: Option<u32>,
    /// `net.ipv4.tcp_max_syn_backlog`
    pub tcp_max_syn_backlog: Option<u32>,
    /// `net.ipv4.tcp_syncookies`
    pub tcp_syncookies: Option<u32>,
    /// Handshakes that found the accept queue full (`ListenOverflows`).
    pub listen_overflows: Rate,
    /// Packets that a listener dropped, for that reason or another (`ListenDrops`).
    pub listen_drops: Rate,
    /// SYNs dropped because the SYN queue was full (`TCPReqQFullDrop`).
    pub syn_queue_drops: Rate,
    /// SYNs that found the SYN queue full and got a cookie (`TCPReqQFullDoCookies`).
    pub syn_queue_cookies: Rate,
    /// SYN cookies sent (`SyncookiesSent`).
    pub syncookies_sent: Rate,
}

/// A counter, and how fast it grew between the two samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Since it began.
    pub total: u64,
    /// Growth per second. Above 0 it happens now; a steady total means that it happened before.
    pub per_s: f64,
}

/// The daemon's zones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsReport {
    /// In the order of the configuration.
    pub zones: Vec<ZoneRoom>,
}

/// How full a zone is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneRoom {
    /// Zone.
    pub zone: String,
    /// Live keys.
    pub keys: u64,
    /// Live keys at the most.
    pub capacity: u64,
    /// Per cent of the capacity in use.
    pub used_percent: u64,
    /// Whether a new key is refused when it is full; else another key makes room.
    pub refuses_when_full: bool,
    /// The keys with most connections that have as many as the smallest limit of the zone, or more.
    pub at_limit: Vec<KeyAtLimit>,
    /// Attempts refused since the daemon began, for whatever reason.
    pub rejected: u64,
}

/// A key that sits at its limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAtLimit {
    /// The key as text.
    pub key: String,
    /// Its connections.
    pub connections: u32,
    /// The smallest limit of the zone.
    pub limit: u32,
    /// Attempts of it that were refused.
    pub rejected: u64,
}
