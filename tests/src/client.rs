//! Connections from the test's own process. Their sockets are outside the limited cgroup, as those
//! of clients elsewhere on the network are.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
    os::fd::AsRawFd,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    netns::NetNs,
    serve::{CLOSE, GREETING, RESET, SHUTDOWN},
    settle::PATIENCE,
};

/// How long a client waits before it calls itself refused. Below the one second after which a SYN
/// is repeated (RFC 6298 §2).
pub const REFUSED_AFTER: Duration = Duration::from_millis(300);

/// A connection that the server's application has accepted and greeted.
///
/// # Errors
/// `TimedOut` if the SYN is not answered, or nobody greets.
pub fn try_open(
    netns: &NetNs,
    from: IpAddr,
    to: SocketAddr,
    patience: Duration,
) -> io::Result<TcpStream> {
    netns.run(|| open_here(from, to, patience))
}

/// A connection that must succeed.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn open(netns: &NetNs, from: IpAddr, to: SocketAddr) -> TcpStream {
    try_open(netns, from, to, PATIENCE)
        .unwrap_or_else(|e| panic!("connect from {from} to {to}: {e}"))
}

/// `count` connections that must succeed.
///
/// # Panics
/// If one does not.
#[track_caller]
pub fn open_many(netns: &NetNs, from: IpAddr, to: SocketAddr, count: usize) -> Vec<TcpStream> {
    netns.run(|| {
        (1..=count)
            .map(|n| {
                open_here(from, to, PATIENCE).unwrap_or_else(|e| {
                    panic!("connection {n} of {count} from {from} to {to}: {e}")
                })
            })
            .collect()
    })
}

/// A connection that must be refused without an answer.
///
/// # Panics
/// If it succeeds, or fails in another way.
#[track_caller]
pub fn must_be_refused(netns: &NetNs, from: IpAddr, to: SocketAddr) {
    match netns.run(|| connect_here(from, to, REFUSED_AFTER)) {
        Ok(_) => panic!("a connection from {from} to {to} is established, it must be refused"),
        Err(e) => assert_eq!(
            e.kind(),
            ErrorKind::TimedOut,
            "a dropped SYN is not answered, but connecting from {from} to {to} says: {e}"
        ),
    }
}

/// A connection that must be refused with a RST.
///
/// # Panics
/// If it succeeds, or fails in another way.
#[track_caller]
pub fn must_be_reset(netns: &NetNs, from: IpAddr, to: SocketAddr) {
    match netns.run(|| connect_here(from, to, PATIENCE)) {
        Ok(_) => panic!("a connection from {from} to {to} is established, it must be reset"),
        Err(e) => assert_eq!(
            e.kind(),
            ErrorKind::ConnectionRefused,
            "a RST answers a SYN, but connecting from {from} to {to} says: {e}"
        ),
    }
}

/// Connects on the calling thread, in its namespace; nobody need accept.
///
/// # Errors
/// `TimedOut` if the SYN is not answered.
pub fn connect_here(from: IpAddr, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = bound(from, to)?;
    socket.connect_timeout(&to.into(), patience)?;
    Ok(socket.into())
}

/// Connects on the calling thread and waits for the greeting.
///
/// # Errors
/// `TimedOut` if the SYN is not answered, or nobody greets.
pub fn open_here(from: IpAddr, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    greeted(connect_here(from, to, patience)?, patience)
}

/// The same from this address and port, also if they were used a moment ago.
///
/// # Errors
/// Likewise.
pub fn open_from(from: SocketAddr, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = bound_to(from)?;
    socket.connect_timeout(&to.into(), patience)?;
    greeted(socket.into(), patience)
}

fn greeted(mut stream: TcpStream, patience: Duration) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(patience))?;
    let mut greeting = [0];
    stream.read_exact(&mut greeting).map_err(timed_out)?;
    if greeting != [GREETING] {
        return Err(io::Error::other("not the greeting"));
    }
    Ok(stream)
}

/// A socket that will connect from this address to that one, without a port of its own yet.
///
/// # Errors
/// As the kernel says.
pub fn bound(from: IpAddr, to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    // The port is chosen at connect, so that one port serves many destinations.
    set_option(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    Ok(socket)
}

/// A connection that may have several paths (MPTCP), on the calling thread; it waits for the greeting.
///
/// # Errors
/// `TimedOut` if the SYN is not answered, or nobody greets.
pub fn open_multipath(from: IpAddr, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::MPTCP))?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect_timeout(&to.into(), patience)?;
    greeted(socket.into(), patience)
}

/// A socket that will connect from this address and port, also if they were used a moment ago.
///
/// # Errors
/// As the kernel says.
pub fn bound_to(from: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(from), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&from.into())?;
    Ok(socket)
}

/// Connects on the calling thread with data in the SYN (TCP Fast Open); nobody need accept. Without
/// a cookie on either side only if the namespace allows it (ip-sysctl.rst, tcp_fastopen).
///
/// # Errors
/// `TimedOut` if the SYN is not answered.
pub fn connect_with_data(
    from: IpAddr,
    to: SocketAddr,
    data: &[u8],
    patience: Duration,
) -> io::Result<TcpStream> {
    let socket = bound(from, to)?;
    // tcp(7): connect returns at once, and the first data goes with the SYN.
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1)?;
    socket.connect(&to.into())?;
    let mut stream = TcpStream::from(socket);
    // Both wait for the handshake as well.
    stream.set_write_timeout(Some(patience))?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(data).map_err(|e| match e.raw_os_error() {
        Some(libc::EINPROGRESS) => ErrorKind::TimedOut.into(),
        _ => timed_out(e),
    })?;
    Ok(stream)
}

/// Sets an integer option of a socket.
///
/// # Errors
/// As the kernel says.
pub fn set_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of_val(&value)).expect("four");
    // SAFETY: the value lives and its size is passed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The client closes first, and waits until the server has closed as well.
///
/// # Errors
/// As the connection says.
pub fn close(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    read_to_end(&mut stream)
}

/// The client asks the server to close first, and waits for it.
///
/// # Errors
/// As the connection says.
pub fn close_by_server(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&[CLOSE])?;
    read_to_end(&mut stream)
}

/// The client ends the connection with a RST.
///
/// # Errors
/// As the connection says.
pub fn reset(stream: TcpStream) -> io::Result<()> {
    Socket::from(stream).set_linger(Some(Duration::ZERO))
}

/// The client asks the server to end the connection with a RST, and waits for it.
///
/// # Errors
/// As the connection says.
pub fn reset_by_server(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&[RESET])?;
    match read_to_end(&mut stream) {
        Err(e) if e.kind() == ErrorKind::ConnectionReset => Ok(()),
        Err(e) => Err(e),
        Ok(()) => Err(io::Error::other("closed instead of reset")),
    }
}

/// Asks the server to shut down its direction, and waits until it has.
///
/// # Errors
/// As the connection says.
pub fn half_close_by_server(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&[SHUTDOWN])?;
    read_to_end(stream)
}

fn read_to_end(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map_err(timed_out)?;
    Ok(())
}

// A read that times out is reported as WouldBlock (socket(7), SO_RCVTIMEO).
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}
