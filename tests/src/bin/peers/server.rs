//! The server: it greets whoever it accepts, and echoes or throws away what it is sent. One thread
//! and epoll(7), as few system calls as there can be, so that it is not what is measured.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    time::Duration,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::SockRef;
use tests::{
    descriptors,
    serve::{GREETING, listen},
};

/// From a client, as its first byte: throw away what follows.
pub const SINK: u8 = b'S';

/// Serves until it is killed.
pub fn serve(addresses: &[SocketAddr]) -> io::Result<()> {
    descriptors::raise_limit();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let listeners: Vec<_> = addresses
        .iter()
        .map(|address| listen(*address, 16_384, false))
        .collect::<io::Result<_>>()?;
    for (index, listener) in listeners.iter().enumerate() {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER | index as u64);
        epoll.add(listener, event)?;
    }
    let mut stdout = io::stdout();
    writeln!(stdout, "listening")?;
    stdout.flush()?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = [EpollEvent::empty(); 256];
    let mut bytes = vec![0; 1 << 18];
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            result => result?,
        };
        for event in &events[..count] {
            let data = event.data();
            if data & LISTENER != 0 {
                accept(
                    &listeners[(data ^ LISTENER) as usize],
                    &epoll,
                    &mut connections,
                )?;
            } else if let Some(place) = connections.get_mut(data as usize)
                && place
                    .as_mut()
                    .is_some_and(|connection| !connection.answer(&mut bytes))
            {
                *place = None;
            }
        }
    }
}

/// Mark in the data of epoll; connections use their descriptor.
const LISTENER: u64 = 1 << 32;

struct Connection {
    stream: TcpStream,
    is_sink: bool,
}

impl Connection {
    /// Whether it goes on.
    fn answer(&mut self, bytes: &mut [u8]) -> bool {
        match self.stream.read(bytes) {
            Ok(0) => {
                // Whoever closes first keeps the connection for a minute (TIME_WAIT): that would
                // run out of ports, and be measured. So nobody does.
                let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
                false
            }
            Ok(length) => {
                self.is_sink |= bytes[0] == SINK;
                self.is_sink || self.stream.write_all(&bytes[..length]).is_ok()
            }
            Err(e) => e.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn accept(
    listener: &TcpListener,
    epoll: &Epoll,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // The client may be gone already.
            Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let _ = stream.write(&[GREETING]);
        let id = stream.as_raw_fd() as usize;
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, id as u64))?;
        if connections.len() <= id {
            connections.resize_with(id + 1, || None);
        }
        connections[id] = Some(Connection {
            stream,
            is_sink: false,
        });
    }
}
