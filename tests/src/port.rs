//! HTTP over TCP, with the port of `metrics` in the namespace of a test.

use std::{io, net::SocketAddr, net::TcpStream, time::Duration};

use crate::{
    http::{self, Response},
    netns::NetNs,
    settle::PATIENCE,
};

/// A whole request without a body, well-formed.
///
/// # Errors
/// If nobody listens, or the answer is not HTTP.
pub fn request(netns: &NetNs, to: SocketAddr, method: &str, target: &str) -> io::Result<Response> {
    let text = format!("{method} {target} HTTP/1.1\r\nhost: {to}\r\n\r\n");
    raw(netns, to, text.as_bytes())
}

/// `GET`, and it must be answered with 200.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn get(netns: &NetNs, to: SocketAddr, target: &str) -> Response {
    let answer = request(netns, to, "GET", target);
    let answer = answer.unwrap_or_else(|e| panic!("GET {target} at {to}: {e}"));
    assert_eq!(answer.status, 200, "GET {target}: {}", answer.body);
    answer
}

/// Any bytes, and the answer to them.
///
/// # Errors
/// If nobody listens, or the answer is not HTTP.
pub fn raw(netns: &NetNs, to: SocketAddr, bytes: &[u8]) -> io::Result<Response> {
    let stream = connect(netns, to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    http::exchange(stream, bytes)
}

/// A connection that says nothing yet.
///
/// # Errors
/// If nobody listens.
pub fn connect(netns: &NetNs, to: SocketAddr) -> io::Result<TcpStream> {
    netns.run(|| TcpStream::connect_timeout(&to, Duration::from_secs(5)))
}
