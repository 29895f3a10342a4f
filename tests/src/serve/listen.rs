//! Sockets that listen.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener},
    os::fd::AsFd as _,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::Options;
use crate::client::set_option;

/// A listening socket that does not block; with `fast_open` it takes data in the SYN.
///
/// # Errors
/// As the kernel says.
pub fn listen(address: SocketAddr, backlog: i32, fast_open: bool) -> io::Result<TcpListener> {
    listen_with(
        address,
        &Options {
            listen: Vec::new(),
            backlog,
            paused: false,
            hold: false,
            fast_open,
            reuse_port: false,
            multipath: false,
            user: None,
        },
    )
}

pub(super) fn listen_with(address: SocketAddr, options: &Options) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(if options.multipath {
            Protocol::MPTCP
        } else {
            Protocol::TCP
        }),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(options.reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    socket.bind(&address.into())?;
    if options.fast_open {
        set_option(
            &socket.as_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN,
            options.backlog,
        )?;
    }
    socket.listen(options.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
