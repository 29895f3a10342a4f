//! The socket that refused attempts are brought to.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

/// What arrives is thrown away, and so may be little.
const RECEIVE_BYTES: usize = 4_096;
/// A client that does not answer any more is given up after this.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
/// As long as the kernel allows (net.core.somaxconn).
const BACKLOG: i32 = i32::MAX;

/// Opens one in the current network namespace, for both families where there is IPv6. Its port is
/// one that the kernel chooses; who connects to it gets a RST. Also gives its cookie.
pub(super) fn listen() -> io::Result<(TcpListener, u64)> {
    let socket = listen_on((Ipv6Addr::UNSPECIFIED, 0).into())
        .or_else(|_| listen_on((Ipv4Addr::UNSPECIFIED, 0).into()))?;
    let cookie = socket.cookie()?;
    Ok((socket.into(), cookie))
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
