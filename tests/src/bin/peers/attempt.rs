//! One attempt to connect, which nobody waits for.

use std::{
    io::{ErrorKind, Read},
    net::{IpAddr, SocketAddr, TcpStream},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use tests::{client, serve::GREETING};

/// What has come of it so far.
pub enum Greeted {
    /// The server has accepted it.
    Yes,
    /// Nobody has answered.
    NotYet,
    /// It has ended.
    Never,
}

/// Begins one. `epoll` says when there is something to look at, with this number.
pub fn begin(from: IpAddr, to: SocketAddr, epoll: &Epoll, number: usize) -> Result<TcpStream> {
    let socket = client::bound(from, to).with_context(|| format!("bind to {from}"))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => {
            return Err(e).with_context(|| format!("connect from {from} to {to}"));
        }
        _ => {}
    }
    let event = EpollEvent::new(EpollFlags::EPOLLIN, number as u64);
    epoll.add(&socket, event).context("wait for a client")?;
    Ok(socket.into())
}

/// Looks at it.
pub fn look(stream: &mut TcpStream) -> Result<Greeted> {
    let mut greeting = [0];
    match stream.read(&mut greeting) {
        Ok(1) => {
            ensure!(greeting == [GREETING], "not the server's greeting");
            Ok(Greeted::Yes)
        }
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(Greeted::NotYet),
        Ok(_) | Err(_) => Ok(Greeted::Never),
    }
}

/// Ends it with a RST, so that nothing is left of the connection on either side.
pub fn leave(stream: TcpStream) {
    // It may have been ended by the other side.
    let _ = client::reset(stream);
}
