//! What is told to Prometheus: the state of the daemon at one moment as families of metrics, in the
//! text format 0.0.4. Pure.
//!
//! Names are a contract, as those of the API: dashboards and alert rules know them. They follow
//! <https://prometheus.io/docs/practices/naming/>. How many series there are depends on the policy,
//! never on clients, unless `metrics_top` asks for those of single keys.

use prometheus::{Encoder as _, TextEncoder, proto::MetricFamily};

use crate::{
    api::{Status, doctor::StateReport},
    doctor::counters::Counters,
};

mod family;
mod keys;
mod process;
mod servers;
mod sockets;
mod upstreams;
mod zones;

/// What [`text`] is, in the words of HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is told, read at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// As `GET /status` has it; zones have their keys in addition, if `metrics_top` asks for them.
    pub status: Status,
    /// Unix time at which the daemon became ready, seconds.
    pub ready_time_seconds: f64,
    /// Refused connections that wait to be closed.
    pub waiting: u64,
    /// Subscribers to events.
    pub subscribers: u64,
    /// What is known of audits.
    pub audits: Audits,
    /// Runs of each program, if they are measured.
    pub programs: Option<Vec<ProgramRuns>>,
    /// Where the servers listen, and whether there is room for more; if that could be read.
    pub sockets: Option<Sockets>,
    /// What the daemon itself takes, if that is known.
    pub usage: Option<Usage>,
}

/// Audits since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Audits {
    /// How many there were.
    pub count: u64,
    /// How long the last one took, seconds.
    pub last_seconds: f64,
}

/// What was measured of one program.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramRuns {
    /// Its name.
    pub program: &'static str,
    /// How often it ran.
    pub count: u64,
    /// How long together, seconds.
    pub seconds: f64,
}

/// The sockets of the servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sockets {
    /// In the order of the configuration; those that listen somewhere.
    pub servers: Vec<ServerSockets>,
    /// What was lost in the network namespaces in which they listen, since the daemon began to look.
    pub lost: Counters,
}

/// The sockets of one server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerSockets {
    /// Its name.
    pub server: String,
    /// Sockets that listen.
    pub listeners: u64,
    /// Connections in the fullest accept queue.
    pub queue: u32,
    /// How many it is made for.
    pub queue_limit: u32,
    /// Connections by state.
    pub states: StateReport,
    /// Part of its descriptors that the process has open that is nearest to its limit, if that is known.
    pub descriptors_used: Option<f64>,
}

/// What a process takes of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Time on CPUs, in the kernel's and in user mode, seconds.
    pub cpu_seconds: f64,
    /// Virtual memory, bytes.
    pub virtual_bytes: u64,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// Open descriptors.
    pub open_fds: u64,
    /// Descriptors at the most.
    pub max_fds: u64,
    /// Unix time of its start, seconds.
    pub start_time_seconds: f64,
}

/// A snapshot as Prometheus reads it.
///
/// # Errors
///
/// If a family is not one of the text format.
pub fn text(snapshot: &Snapshot) -> Result<String, String> {
    let families: Vec<MetricFamily> = [
        process::families(snapshot),
        zones::families(&snapshot.status.zones),
        keys::families(&snapshot.status.zones),
        servers::families(&snapshot.status),
        sockets::families(snapshot.sockets.as_ref()),
        upstreams::families(&snapshot.status.upstreams),
    ]
    .concat();
    let mut bytes = Vec::new();
    let encoded = TextEncoder::new().encode(&families, &mut bytes);
    encoded.map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
