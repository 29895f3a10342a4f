//! What the demo and its peer say to each other: a line of JSON each way.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

/// Where the server listens, in a network namespace of its own.
pub(super) const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080);

/// From the demo to its peer. Anything that cannot be done is answered with [`Answer::Failed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Open connections, one after the other. Every one is answered with [`Answer::Attempt`].
    Open { from: Ipv4Addr, count: u32 },
    /// Send a byte over every open connection and wait for its echo: [`Answer::Alive`].
    Ping { from: Ipv4Addr },
    /// Close connections, the oldest first: [`Answer::Closed`].
    Close { from: Ipv4Addr, count: u32 },
}

/// From the peer to the demo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The server listens.
    Ready,
    /// How an attempt to connect ended.
    Attempt(Outcome),
    /// So many connections have echoed.
    Alive(u32),
    /// So many connections were closed.
    Closed(u32),
    /// It did not work.
    Failed(String),
}

/// How an attempt to connect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// Connected, and the server has echoed a byte.
    Established,
    /// Silence.
    NoAnswer,
    /// Refused, or broken off.
    Reset,
}
