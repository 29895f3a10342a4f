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
    /// `limit_conn_dry_run` of the main context.
    pub dry_run: bool,
    /// `limit_conn_log_level` of the main context.
    pub log_level: LogLevel,
}

/// `server ADDRESS:PORT [max_conns=N]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamServer {
    /// IPv4 where that can be.
    pub addr: SocketAddr,
    /// Connections at the most, over all processes; 0: as many as want to.
    pub max_conns: u32,
}
