//! Processes that have listeners.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessReport {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// What it does among others of its kind, if that is known.
    pub role: Option<WorkerRole>,
    /// Open descriptors; null if we may not look.
    pub descriptors: Option<u64>,
    /// Descriptors at the most (RLIMIT_NOFILE, the soft limit).
    pub descriptor_limit: Option<u64>,
    /// Where it has sent requests to that are not answered, those with most first.
    pub upstreams: Vec<UpstreamReport>,
}

impl ProcessReport {
    /// Per cent of the descriptors in use.
    pub fn descriptor_percent(&self) -> Option<u64> {
        let (used, limit) = (self.descriptors?, self.descriptor_limit?);
        (used * 100).checked_div(limit)
    }
}

/// What a process of nginx does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerRole {
    /// Starts the others.
    Master,
    /// Serves.
    Worker,
    /// Serves what is left from before a reload.
    OldWorker,
}

/// Another server that a process waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamReport {
    /// Where.
    pub address: SocketAddr,
    /// Connections to it on which a request is not answered.
    pub waiting: u64,
}

/// One nginx: a master and its workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NginxReport {
    /// Process of the master.
    pub pid: u32,
    /// Workers that serve.
    pub workers: u64,
    /// Workers that only serve what is left from before a reload.
    pub old_workers: u64,
    /// `worker_connections`; null if the configuration could not be read.
    pub worker_connections: Option<u64>,
    /// Whether the configuration passes requests on, which takes two connections each.
    pub proxies: Option<bool>,
    /// Clients that have room: workers times `worker_connections`, and half of that if it proxies.
    pub capacity: Option<u64>,
    /// Clients that are connected.
    pub clients: u64,
    /// Per cent of the capacity in use.
    pub used_percent: Option<u64>,
    /// What it says of itself; with `--stub-status` only.
    pub stub_status: Option<StubStatus>,
}

/// ngx_http_stub_status_module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StubStatus {
    /// Connections of clients.
    pub active: u64,
    /// Connections accepted.
    pub accepts: u64,
    /// Connections handled; fewer than accepted: it ran out of `worker_connections`.
    pub handled: u64,
    /// Requests whose header is being read.
    pub reading: u64,
    /// Requests that are being worked on or answered.
    pub writing: u64,
    /// Connections that are kept alive.
    pub waiting: u64,
    /// Accepted per second between the samples.
    pub accepts_per_s: f64,
    /// Accepted and not handled per second between the samples.
    pub dropped_per_s: f64,
}
