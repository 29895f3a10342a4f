//! One address that is listened on.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Rate;

/// All sockets that listen on one address and port, and their connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListenerReport {
    /// Address and port.
    pub listen: SocketAddr,
    /// Sockets that share it (SO_REUSEPORT).
    pub sockets: u64,
    /// Connections that wait to be accepted.
    pub queue: QueueReport,
    /// Connections by state.
    pub states: StateReport,
    /// What the established ones do.
    pub activity: ActivityReport,
    /// Who holds them.
    pub sources: SourcesReport,
    /// Processes that have the sockets.
    pub pids: Vec<u32>,
    /// What stands out in the states, one sentence each.
    pub remarks: Vec<String>,
}

/// The accept queue of the fullest socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueReport {
    /// Connections in it.
    pub depth: u32,
    /// The same in the first sample.
    pub depth_before: u32,
    /// Connections that it is made for: min(backlog, somaxconn).
    pub limit: u32,
    /// Whether `net.core.somaxconn` may have cut it; else the backlog of the application did.
    pub cut_by_somaxconn: bool,
    /// Packets that the sockets have dropped, for whatever reason, refusals of limiter included.
    pub drops: Rate,
}

/// Connections by state (RFC 9293 §3.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub struct StateReport {
    pub syn_recv: u64,
    pub established: u64,
    pub fin_wait1: u64,
    pub fin_wait2: u64,
    pub close_wait: u64,
    pub closing: u64,
    pub last_ack: u64,
    pub time_wait: u64,
}

impl StateReport {
    /// Each state by its name, in the order in which connections go through them.
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("SYN_RECV", self.syn_recv),
            ("ESTABLISHED", self.established),
            ("FIN_WAIT1", self.fin_wait1),
            ("FIN_WAIT2", self.fin_wait2),
            ("CLOSE_WAIT", self.close_wait),
            ("CLOSING", self.closing),
            ("LAST_ACK", self.last_ack),
            ("TIME_WAIT", self.time_wait),
        ]
    }
}

/// Established connections by what they did between the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityReport {
    /// Not accepted yet.
    pub queued: u64,
    /// Of those, waiting in both samples.
    pub queued_before: u64,
    /// Opened between the samples.
    pub new: u64,
    /// Data went both ways, or fast.
    pub busy: u64,
    /// Answered, and silent since: kept alive.
    pub idle: u64,
    /// The client has asked, and the server is silent.
    pub waiting: u64,
    /// Of those, what the server has not even read.
    pub unread: u64,
    /// A request that comes in drops, or an answer that is taken in drops.
    pub slow: u64,
    /// Nobody has said anything yet.
    pub silent: u64,
    /// In CLOSE_WAIT in both samples: closed by the client, not by the server.
    pub not_closed: u64,
}

impl ActivityReport {
    /// Established and accepted.
    pub fn accepted(&self) -> u64 {
        self.new + self.busy + self.idle + self.waiting + self.slow + self.silent
    }
}

/// Who holds the connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourcesReport {
    /// Connections of clients: all but those in TIME_WAIT.
    pub connections: u64,
    /// Addresses that have some.
    pub clients: u64,
    /// Networks, /24 and /64, that have some.
    pub networks: u64,
    /// The addresses with most.
    pub top_clients: Vec<SourceReport>,
    /// The networks with most.
    pub top_networks: Vec<SourceReport>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceReport {
    /// An address or a network.
    pub source: String,
    /// Its connections.
    pub connections: u64,
    /// Per cent of all connections of the listener.
    pub percent: u64,
}
