//! One event, and what may stand between events.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::policy::ActionKind;

/// One line of `GET /events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Grows with each event, whatever its kind, and goes on when another daemon takes over. A gap is
    /// what a filter has left out, or what was lost.
    #[serde(default)]
    pub number: u64,
    /// RFC 3339, UTC, microseconds.
    pub time: jiff::Timestamp,
    /// Verdict.
    pub status: EventState,
    /// What decided.
    pub reason: Reason,
    /// Zone that decided.
    pub zone: String,
    /// Server.
    pub server: String,
    /// Client address.
    pub remote_addr: IpAddr,
    /// Client port.
    pub remote_port: u16,
    /// Local address.
    pub local_addr: IpAddr,
    /// Local port.
    pub local_port: u16,
    /// Connections of the key at the verdict; with [`EventState::Closed`] those that are left.
    pub connections: u32,
    /// The limit that decided.
    pub limit: u32,
    /// Seconds from establishment to close, to the microsecond; only with [`EventState::Closed`], and
    /// only if it was counted from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// How the server refuses attempts; with [`EventState::Rejected`] that is what happened.
    pub action: ActionKind,
    /// Where it was decided: `cgroup_skb`, `sock_ops`, `sk_lookup`, `xdp`, or `connect`: then a process has
    /// connected to a server of an upstream. `server` is the upstream, `remote_addr` and `remote_port` are
    /// its server, `zone` is empty, and there is no local address yet.
    pub hook: String,
    /// Refusals of the same key since its last event that were not reported.
    pub suppressed: u64,
}

/// A line of `GET /events` in place of events that the subscriber was too slow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missed {
    /// How many, whether they match the subscriber's filter or not. `None`: the numbers that the
    /// subscriber knows are not of this stream, so nobody knows.
    pub missed: Option<u64>,
}

/// A line of `GET /events` in front of others: there are no older ones than of this time, although they
/// were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryFrom {
    /// RFC 3339, UTC, microseconds.
    pub history_from: jiff::Timestamp,
}

#[cfg(test)]
impl Event {
    /// A refusal, for tests that need some event.
    pub(crate) fn example() -> Self {
        Self {
            number: 1,
            time: jiff::Timestamp::UNIX_EPOCH,
            status: EventState::Rejected,
            reason: Reason::Limit,
            zone: "addr".to_owned(),
            server: "default".to_owned(),
            remote_addr: IpAddr::from([192, 0, 2, 1]),
            remote_port: 1234,
            local_addr: IpAddr::from([192, 0, 2, 9]),
            local_port: 443,
            connections: 10,
            limit: 10,
            duration_s: None,
            action: ActionKind::Drop,
            hook: "cgroup_skb".to_owned(),
            suppressed: 0,
        }
    }
}

/// nginx's `$limit_conn_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventState {
    /// Let through.
    Passed,
    /// Refused.
    Rejected,
    /// Would have been refused.
    RejectedDryRun,
    /// A connection that was counted has ended. No verdict, so nginx has no such word.
    Closed,
}

impl EventState {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::Passed,
        Self::Rejected,
        Self::RejectedDryRun,
        Self::Closed,
    ];

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Rejected => "REJECTED",
            Self::RejectedDryRun => "REJECTED_DRY_RUN",
            Self::Closed => "CLOSED",
        }
    }

    /// Whether there are events of this kind only while somebody asks for them.
    pub fn is_on_request(self) -> bool {
        matches!(self, Self::Passed | Self::Closed)
    }
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Nothing: the connection passed.
    None,
    /// The key is at its limit.
    Limit,
    /// The zone has no room for another key.
    Exhausted,
    /// A connect has waited in the queue of its upstream for as long as it may.
    Timeout,
}
