//! Open connections: `GET /connections`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::KeyParts;

/// The open connections that hold slots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionList {
    /// The oldest first; of those whose age nobody knows, all before them.
    pub connections: Vec<ConnectionStatus>,
    /// How many match what was asked for, shown or not.
    pub matching: u64,
    /// Connections that hold slots and were not found: in network namespaces that the daemon cannot
    /// find or enter.
    pub missing: u64,
    /// Processes that the daemon was not allowed to look at, so that owners may be missing.
    pub hidden_processes: u64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Server of the policy in force that it belongs to; null after a change that left it out.
    pub server: Option<String>,
    /// Client address.
    pub remote_addr: IpAddr,
    /// Client port.
    pub remote_port: u16,
    /// Local address.
    pub local_addr: IpAddr,
    /// Local port.
    pub local_port: u16,
    /// Inode number of the network namespace, as lsns(8) shows it.
    pub netns: u64,
    /// TCP state.
    pub state: TcpState,
    /// Milliseconds since it was established; null: it was open before anybody counted.
    pub age_ms: Option<u64>,
    /// Whether a limit says no to it: it is among the youngest of a key that has more connections
    /// than its limit, or it was established in a lost race and is to be closed.
    pub excess: bool,
    /// The slots that it holds. None: it was established in a lost race.
    pub slots: Vec<SlotStatus>,
    /// The processes that have it. None: nobody has accepted it yet, nobody has it any more, or they
    /// are hidden.
    pub processes: Vec<ProcessStatus>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotStatus {
    /// Zone.
    pub zone: String,
    /// The key.
    #[serde(flatten)]
    pub parts: KeyParts,
    /// Connections of the key that were found.
    pub connections: u32,
    /// How many the server allows this client; null after a change that left the limit out.
    pub limit: Option<u32>,
    /// Whether the limit says no to this one.
    pub excess: bool,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its number, as the daemon sees it.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// States of RFC 9293 §3.3.2 that an open connection may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum TcpState {
    Established,
    SynRecv,
    #[serde(rename = "FIN_WAIT1")]
    FinWait1,
    #[serde(rename = "FIN_WAIT2")]
    FinWait2,
    CloseWait,
    LastAck,
    Closing,
    /// None of these: it is being closed.
    Close,
}

impl TcpState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Closing => "CLOSING",
            Self::Close => "CLOSE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_written_alike_everywhere() {
        for state in [
            TcpState::Established,
            TcpState::SynRecv,
            TcpState::FinWait1,
            TcpState::FinWait2,
            TcpState::CloseWait,
            TcpState::LastAck,
            TcpState::Closing,
            TcpState::Close,
        ] {
            let json = serde_json::to_value(state).expect("JSON");
            assert_eq!(json, state.as_str());
        }
    }
}
