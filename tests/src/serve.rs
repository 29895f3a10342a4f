//! The server that most tests limit: it greets whoever it accepts, echoes, and closes as the
//! client or the test tells it to. One thread, epoll(7).

mod listen;

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    time::Duration,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::Socket;

pub use self::listen::listen;
use self::listen::listen_with;
use crate::process::stdin_file;

/// First byte to every client that is accepted.
pub const GREETING: u8 = b'!';
/// From a client: close this connection.
pub const CLOSE: u8 = b'Q';
/// From a client: end this connection with a RST.
pub const RESET: u8 = b'R';
/// From a client: shut down the server's direction.
pub const SHUTDOWN: u8 = b'S';

/// What to listen on, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses. `[::]` is dual-stack.
    pub listen: Vec<SocketAddr>,
    /// Length of the accept queue.
    pub backlog: i32,
    /// Leave connections in the accept queue until told otherwise.
    pub paused: bool,
    /// Keep a connection when the client has closed its direction.
    pub hold: bool,
    /// Take data in the SYN (TCP Fast Open).
    pub fast_open: bool,
    /// Share the addresses with others that do so (SO_REUSEPORT).
    pub reuse_port: bool,
    /// Take connections of several paths (MPTCP), too.
    pub multipath: bool,
    /// Belong to this user, as if it had started the server.
    pub user: Option<u32>,
}

/// Serves until standard input ends. Commands there, one a line, each answered with a line
/// `{"accepted":N,"open":N}`: `stat`, `pause`, `resume`, `close`, `reset`, `unlisten`.
///
/// # Errors
/// If it cannot listen, or standard output is closed.
pub fn serve(options: &Options) -> io::Result<()> {
    if let Some(user) = options.user {
        let user = user.into();
        nix::unistd::setresuid(user, user, user)?;
        // /proc/PID belongs to it only then (prctl(2), PR_SET_DUMPABLE).
        nix::sys::prctl::set_dumpable(true)?;
    }
    let mut server = Loop::new(options)?;
    writeln!(io::stdout(), "listening")?;
    server.run()
}

struct Loop<'a> {
    options: &'a Options,
    epoll: Epoll,
    listeners: Vec<TcpListener>,
    connections: HashMap<u64, TcpStream>,
    commands: std::fs::File,
    typed: Vec<u8>,
    accepting: bool,
    accepted: u64,
}

// Marks in epoll data; connections use their descriptor, which is far below.
const COMMANDS: u64 = u64::MAX;
const LISTENER: u64 = 1 << 32;

impl<'a> Loop<'a> {
    fn new(options: &'a Options) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let commands = stdin_file();
        epoll.add(&commands, EpollEvent::new(EpollFlags::EPOLLIN, COMMANDS))?;
        let listeners = options
            .listen
            .iter()
            .map(|address| listen_with(*address, options))
            .collect::<io::Result<Vec<_>>>()?;
        let mut this = Self {
            options,
            epoll,
            listeners,
            connections: HashMap::new(),
            commands,
            typed: Vec::new(),
            accepting: false,
            accepted: 0,
        };
        if !options.paused {
            this.accept_from_now_on(true)?;
        }
        Ok(this)
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); 256];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                result => result?,
            };
            for event in &events[..count] {
                match event.data() {
                    COMMANDS => {
                        if !self.obey()? {
                            return Ok(());
                        }
                    }
                    listener if listener >= LISTENER => {
                        let index = usize::try_from(listener - LISTENER).expect("an index");
                        self.accept(index)?;
                    }
                    connection => self.answer(connection)?,
                }
            }
        }
    }

    fn accept_from_now_on(&mut self, on: bool) -> io::Result<()> {
        for (index, listener) in self.listeners.iter().enumerate() {
            if on && !self.accepting {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER + index as u64);
                self.epoll.add(listener, event)?;
            } else if !on && self.accepting {
                self.epoll.delete(listener)?;
            }
        }
        self.accepting = on;
        Ok(())
    }

    fn accept(&mut self, index: usize) -> io::Result<()> {
        // A command earlier in the same batch may have closed it.
        while let Some(listener) = self.listeners.get(index) {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                // It would be ready all the time.
                Err(e) if e.raw_os_error() == Some(libc::EMFILE) => {
                    return self.accept_from_now_on(false);
                }
                Err(e) => return Err(e),
            };
            self.accepted += 1;
            stream.set_nonblocking(true)?;
            // A client that has reset the connection meanwhile misses the greeting.
            let _ = stream.write(&[GREETING]);
            let id = u64::try_from(stream.as_raw_fd()).expect("an open descriptor");
            self.epoll
                .add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, id))?;
            self.connections.insert(id, stream);
        }
        Ok(())
    }

    fn answer(&mut self, id: u64) -> io::Result<()> {
        let Some(stream) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let mut bytes = [0; 4096];
        let end = match stream.read(&mut bytes) {
            Ok(0) if self.options.hold => {
                self.epoll.delete(&*stream)?;
                return Ok(());
            }
            Ok(0) => End::Close,
            Ok(length) => End::asked(stream, &bytes[..length]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => End::Not,
            Err(_) => End::Close,
        };
        if let End::Not = end {
            return Ok(());
        }
        if let Some(stream) = self.connections.remove(&id) {
            finish(stream, end)?;
        }
        Ok(())
    }

    fn obey(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let length = self.commands.read(&mut bytes)?;
        self.typed.extend_from_slice(&bytes[..length]);
        while let Some(end) = self.typed.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.typed.drain(..=end).collect();
            self.command(String::from_utf8_lossy(&line).trim())?;
        }
        Ok(length > 0)
    }

    fn command(&mut self, command: &str) -> io::Result<()> {
        match command {
            "stat" => {}
            "pause" => self.accept_from_now_on(false)?,
            "resume" => self.accept_from_now_on(true)?,
            "unlisten" => {
                self.accept_from_now_on(false)?;
                self.listeners.clear();
            }
            "close" | "reset" => {
                for (_, stream) in self.connections.drain() {
                    let end = if command == "close" {
                        End::Close
                    } else {
                        End::Reset
                    };
                    finish(stream, end)?;
                }
            }
            other => return Err(io::Error::other(format!("unknown command {other:?}"))),
        }
        let report =
            serde_json::json!({ "accepted": self.accepted, "open": self.connections.len() });
        writeln!(io::stdout(), "{report}")
    }
}

enum End {
    Not,
    Close,
    Reset,
}

impl End {
    fn asked(stream: &mut TcpStream, bytes: &[u8]) -> Self {
        for byte in bytes {
            match *byte {
                CLOSE => return Self::Close,
                RESET => return Self::Reset,
                SHUTDOWN => {
                    let _ = stream.shutdown(Shutdown::Write);
                }
                other => {
                    let _ = stream.write(&[other]);
                }
            }
        }
        Self::Not
    }
}

fn finish(stream: TcpStream, end: End) -> io::Result<()> {
    if let End::Reset = end {
        Socket::from(stream).set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}
