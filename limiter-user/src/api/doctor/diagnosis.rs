//! A cause with its evidence.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What is wrong, how that is known, and what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// How bad it is.
    pub level: Level,
    /// What it is.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// The listener; null if it is about no single one.
    pub listener: Option<SocketAddr>,
    /// One sentence.
    pub summary: String,
    /// What was seen, one sentence each.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: Vec<Advice>,
    /// What not to do, and why.
    pub avoid: Vec<String>,
}

/// How bad it is: the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// 0: nothing is wrong.
    Healthy,
    /// 1: nobody is lost yet.
    Warning,
    /// 2: clients are being lost, or the next ones will be.
    Critical,
}

/// What it is. The order is that of dominance: of several at one listener the first one explains the
/// others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The application does not close what clients have closed.
    NotClosed,
    /// Clients that send or take their bytes slowly, or none at all.
    SlowClients,
    /// The server, or what is behind it, is silent after requests.
    SlowUpstream,
    /// One client, or one network of clients, holds most connections.
    GreedySource,
    /// The process has no descriptors left.
    Descriptors,
    /// Idle connections that are kept alive.
    KeepAlive,
    /// Connections are not accepted as fast as they come.
    AcceptQueue,
    /// Handshakes do not end as fast as they begin.
    SynQueue,
    /// There are more clients than the server is made for.
    Capacity,
    /// A zone of limiter has no room for further keys.
    ZoneFull,
    /// Nothing.
    None,
}

/// How sure a diagnosis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Other causes look otherwise.
    High,
    /// Another cause may look alike.
    Medium,
    /// A hint, not more.
    Low,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Why, or what for.
    pub text: String,
    /// Where the line goes: `limiter.conf`, `nginx.conf`, `sysctl`, `systemd` or `shell`; null if
    /// there is no line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The very line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

impl Level {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Cause {
    /// In words.
    pub fn as_words(self) -> &'static str {
        match self {
            Self::NotClosed => "connections that are not closed",
            Self::SlowClients => "slow clients",
            Self::SlowUpstream => "slow upstream",
            Self::GreedySource => "one greedy source",
            Self::Descriptors => "descriptors",
            Self::KeepAlive => "keep-alive pile-up",
            Self::AcceptQueue => "accept queue overflow",
            Self::SynQueue => "SYN queue overflow",
            Self::Capacity => "plain capacity",
            Self::ZoneFull => "a full zone",
            Self::None => "nothing wrong",
        }
    }
}

impl Confidence {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}
