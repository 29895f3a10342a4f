//! One connect, from each kind of socket.

use std::{
    io::{self, ErrorKind},
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::{ESTABLISHED, Way};

/// The socket, unless it was refused.
pub(super) fn connect(way: Way, to: SocketAddr) -> (Option<Socket>, String) {
    let socket = new(way, to).expect("make a socket");
    let result = match way {
        Way::FastOpen => send_in_syn(&socket, to),
        Way::Mapped => socket.connect(&mapped(to).into()),
        Way::Bound(from) => socket
            .bind(&from.into())
            .and_then(|()| socket.connect(&to.into())),
        Way::Blocking | Way::NonBlocking | Way::Kept | Way::Mptcp | Way::Udp => {
            socket.connect(&to.into())
        }
    };
    let end = match &result {
        Ok(()) => ESTABLISHED.to_owned(),
        Err(error) => name(error),
    };
    // What goes on in the background is held, too.
    let is_held = result.is_ok() || end == "EINPROGRESS" || matches!(way, Way::Kept);
    (is_held.then_some(socket), end)
}

pub(super) fn new(way: Way, to: SocketAddr) -> io::Result<Socket> {
    let domain = match way {
        Way::Mapped => Domain::IPV6,
        _ => Domain::for_address(to),
    };
    let socket = match way {
        Way::Udp => Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
        Way::Mptcp => Socket::new(domain, Type::STREAM, Some(Protocol::MPTCP))?,
        _ => Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?,
    };
    socket.set_nonblocking(matches!(way, Way::NonBlocking | Way::Bound(_)))?;
    if let Way::Bound(_) = way {
        socket.set_reuse_port(true)?;
    }
    Ok(socket)
}

fn mapped(to: SocketAddr) -> SocketAddr {
    match to {
        SocketAddr::V4(v4) => {
            let addr: Ipv6Addr = v4.ip().to_ipv6_mapped();
            SocketAddrV6::new(addr, v4.port(), 0, 0).into()
        }
        v6 => v6,
    }
}

pub(super) fn name(error: &io::Error) -> String {
    if error.kind() == ErrorKind::WouldBlock {
        return "EAGAIN".to_owned();
    }
    let number = error.raw_os_error().unwrap_or(0);
    format!("{:?}", nix::errno::Errno::from_raw(number))
}

fn send_in_syn(socket: &Socket, to: SocketAddr) -> io::Result<()> {
    socket
        .send_to_with_flags(b"x", &to.into(), libc::MSG_FASTOPEN)
        .map(drop)
}
