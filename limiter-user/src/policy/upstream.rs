//! Servers that processes connect to.

use std::net::SocketAddr;

use super::LogLevel;

/// `upstream NAME { … }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Unique.
    pub name: String,
    /// Never empty. No address and port is in two upstreams, or twice in one.
    pub servers: Vec<UpstreamServer>,
    /// `queue`, if there is one.
    pub queue: Option<Queue>,
    /// `limit_conn_dry_run` of the main context.
    pub dry_run: bool,
    /// `limit_conn_log_level` of the main context.
    pub log_level: LogLevel,
}

/// `queue NUMBER [timeout=TIME]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Connects that wait at the same time, over all servers, at the most; not 0.
    pub max: u32,
    /// How long each waits at the most, milliseconds; not 0.
    pub timeout_ms: u32,
}

impl Queue {
    /// As in nginx, and as long as the kernel can be made to wait.
    pub const MAX_TIMEOUT_MS: u32 = 60_000;
}

/// `server ADDRESS:PORT [max_conns=N]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamServer {
    /// IPv4 where that can be.
    pub addr: SocketAddr,
    /// Connections at the most, over all processes; 0: as many as want to.
    pub max_conns: u32,
}
