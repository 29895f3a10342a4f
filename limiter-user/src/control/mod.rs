//! HTTP with JSON on the Unix socket, both ends, and over TCP to be read only. The only place that opens sockets.
//!
//! | module | holds |
//! |---|---|
//! | [`socket`] | who owns the path: one daemon at a time, stale files, permissions |
//! | [`peer`] | who is at the other end, and what they may do |
//! | [`route`] | from method, path and query to a typed request; pure |
//! | [`filter`] | which events a subscriber wants |
//! | [`service`] | what the server needs from the daemon |
//! | [`server`] | connections, bounds, answers |
//! | [`feed`] | the last events, and everybody who reads them |
//! | [`port`] | the TCP sockets of `metrics` |
//! | [`subscription`] | one reader of the event stream |
//! | [`refusal`] | answers that are not a success |
//! | [`client`] | the command line's end |

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub mod client;
pub mod feed;
pub mod filter;
mod limits;
pub mod peer;
pub mod port;
pub mod refusal;
pub mod route;
pub mod server;
pub mod service;
pub mod socket;
pub mod subscription;

/// Where the daemon listens if neither the command line nor the configuration names a socket.
pub const DEFAULT_SOCKET: &str = "/run/limiter/limiter.sock";

/// Where the daemon of a named instance listens.
pub fn socket_of(instance: &str) -> PathBuf {
    Path::new(DEFAULT_SOCKET).with_file_name(format!("{instance}.sock"))
}

/// Connections to the control socket at the most of those who stand alike: root and the daemon's user,
/// the members of the group, all others. Room for a thousand subscribers and those who look after them.
pub const MAX_CONNECTIONS: usize = 1280;

/// Connections that get a refusal and nothing else at the most: of strangers, and of those beyond
/// [`MAX_CONNECTIONS`].
pub const MAX_REFUSED: usize = 64;

/// Bytes of answers at the most that wait for those who may change things to take them; the same again
/// for the group.
pub const MAX_WAITING_BYTES: usize = 256 << 20;

/// As [`MAX_WAITING_BYTES`], for all others together.
pub const MAX_WAITING_BYTES_OF_OTHERS: usize = 64 << 20;

/// Connections to all ports of `metrics` together at the most.
pub const MAX_PORT_CONNECTIONS: usize = 128;

/// Bytes of answers at the most that wait for those at the ports of `metrics` to take them.
pub const MAX_WAITING_BYTES_AT_PORTS: usize = 64 << 20;

/// Longest time from a connection to a port of `metrics` until its request is there.
pub const PORT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest life of a connection to a port of `metrics`.
pub const PORT_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest body of a request, bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Headers of a request at the most.
pub const MAX_HEADERS: usize = 64;

/// Longest wait for a request's headers, its body, or for a peer to take more of an answer.
pub const IO_TIMEOUT: Duration = Duration::from_secs(10);
