//! The socket that refused attempts are brought to.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use tokio::sync::oneshot;

use super::places::Places;

/// A socket to which refused attempts of one network namespace are brought.
pub struct Target {
    /// Connections to be accepted here are refused ones.
    pub listener: TcpListener,
    /// Which of them may wait to be closed; the others have to go at once.
    pub places: Places,
    /// Ends when the socket is given up: nothing that was accepted may stay open.
    pub end: oneshot::Receiver<()>,
}

/// A listening socket.
pub(super) struct Listening {
    pub(super) listener: TcpListener,
    pub(super) cookie: u64,
    pub(super) port: u16,
}

/// What arrives is thrown away, and so may be little.
const RECEIVE_BYTES: usize = 4_096;
/// A client that does not answer any more is given up after this.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
/// As long as the kernel allows (net.core.somaxconn).
const BACKLOG: i32 = i32::MAX;
/// How often the kernel is asked for another port.
const TRIES: usize = 64;

/// Opens one in the current network namespace, for both families where there is IPv6. Its port is
/// one that the kernel chooses, and that is not taken; who connects to it gets a RST.
pub(super) fn listen(is_taken: impl Fn(u16) -> bool) -> io::Result<Listening> {
    // Kept open meanwhile, so that the kernel chooses others.
    let mut taken = Vec::new();
    for _ in 0..TRIES {
        let socket = listen_on((Ipv6Addr::UNSPECIFIED, 0).into())
            .or_else(|_| listen_on((Ipv4Addr::UNSPECIFIED, 0).into()))?;
        let cookie = socket.cookie()?;
        let listener = TcpListener::from(socket);
        let port = listener.local_addr()?.port();
        if !is_taken(port) {
            return Ok(Listening {
                listener,
                cookie,
                port,
            });
        }
        taken.push(listener);
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn listen_on(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A group of one: only groups have a program.
    socket.set_reuse_port(true)?;
    // Connections inherit it. They have the server's port, and must not keep a server that is
    // started again from it (net/ipv4/inet_connection_sock.c, inet_bind_conflict).
    socket.set_reuse_address(true)?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
