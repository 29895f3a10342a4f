//! A process in the limited cgroup that connects, in every way and with every end.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, ErrorKind, Write as _},
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
    os::fd::AsRawFd as _,
    process::Command,
    thread,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    cgroup::Cgroup,
    process::{Process, binary},
    settle::PATIENCE,
    world::World,
};

/// Such a process.
#[derive(Debug)]
pub struct Outgoing(Process);

/// How connects have ended: `established`, `in progress`, or the name of the error.
pub type Ends = BTreeMap<String, u64>;

/// What it is to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Open so many, one after the other, and hold what is open.
    Connect {
        /// How many.
        count: usize,
        /// From which socket.
        way: Way,
        /// To where.
        to: SocketAddr,
    },
    /// Close all that is held.
    Close,
    /// Open and end so many, in every way that there is, four at a time.
    Mix {
        /// How many.
        count: usize,
        /// Where somebody listens.
        open: SocketAddr,
        /// Where nobody does.
        refused: SocketAddr,
        /// Where no route leads.
        no_route: SocketAddr,
        /// Where nobody answers.
        silent: SocketAddr,
    },
}

/// A kind of socket.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Way {
    /// One that waits.
    Blocking,
    /// One that does not.
    NonBlocking,
    /// An IPv6 socket, to an IPv4 address.
    Mapped,
    /// Data in the SYN: sendto() with `MSG_FASTOPEN`.
    FastOpen,
    /// One that is held even if it fails.
    Kept,
    /// One that may have several paths, each a socket of the kernel.
    Mptcp,
    /// UDP.
    Udp,
}

impl Outgoing {
    /// Starts one in the cgroup of the world.
    pub fn start(world: &World) -> Self {
        Self::start_in(world, Some(&world.cgroup))
    }

    /// Starts one in another cgroup, or in none of the test's.
    pub fn start_in(world: &World, cgroup: Option<&Cgroup>) -> Self {
        let mut command = Command::new(binary("peer", "LIMITER_PEER_BIN"));
        command.arg("outgoing");
        Self(Process::start(command, Some(&world.netns), cgroup))
    }

    /// Has it begin.
    pub fn say(&mut self, order: Order) {
        self.0.say(&serde_json::to_string(&order).expect("JSON"));
    }

    /// How it ended.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    pub fn answer(&self) -> Ends {
        let line = self.0.stdout().next(PATIENCE);
        let line = line.unwrap_or_else(|| panic!("no answer: {}", self.0.stderr().text()));
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// Both.
    #[track_caller]
    pub fn obey(&mut self, order: Order) -> Ends {
        self.say(order);
        self.answer()
    }

    /// Connects in the plainest way; how many got through, and how many were refused.
    #[track_caller]
    pub fn connect(&mut self, count: usize, to: SocketAddr) -> (u64, u64) {
        let way = Way::Blocking;
        let ends = self.obey(Order::Connect { count, way, to });
        let of = |end: &str| ends.get(end).copied().unwrap_or(0);
        (of("established"), of("ECONNREFUSED"))
    }

    /// Ends it at once.
    pub fn kill(self) {
        self.0.signal(nix::sys::signal::Signal::SIGKILL);
    }
}

/// Reads orders and obeys, in the other process.
///
/// # Errors
///
/// If somebody has written something else.
pub fn serve() -> anyhow::Result<()> {
    let mut held = Vec::new();
    for line in io::stdin().lock().lines() {
        let mut ends = Ends::new();
        match serde_json::from_str(&line?).context("an order")? {
            Order::Connect { count, way, to } => {
                for _ in 0..count {
                    let (socket, end) = connect(way, to);
                    *ends.entry(end).or_default() += 1;
                    held.extend(socket);
                }
            }
            Order::Close => held.clear(),
            Order::Mix {
                count,
                open,
                refused,
                no_route,
                silent,
            } => {
                let work = move |first: usize| {
                    (first..count)
                        .step_by(4)
                        .for_each(|number| mix(number, [open, refused, no_route, silent]));
                };
                thread::scope(|scope| {
                    (0..4).for_each(|first| drop(scope.spawn(move || work(first))));
                });
            }
        }
        writeln!(io::stdout(), "{}", serde_json::to_string(&ends)?)?;
    }
    Ok(())
}

/// The socket, unless it was refused.
fn connect(way: Way, to: SocketAddr) -> (Option<Socket>, String) {
    let socket = new(way, to).expect("make a socket");
    let result = match way {
        Way::FastOpen => send_in_syn(&socket, to),
        Way::Mapped => socket.connect(&mapped(to).into()),
        Way::Blocking | Way::NonBlocking | Way::Kept | Way::Mptcp | Way::Udp => {
            socket.connect(&to.into())
        }
    };
    let end = match &result {
        Ok(()) => "established".to_owned(),
        Err(error) => name(error),
    };
    // What goes on in the background is held, too.
    let is_held = result.is_ok() || end == "EINPROGRESS" || matches!(way, Way::Kept);
    (is_held.then_some(socket), end)
}

fn new(way: Way, to: SocketAddr) -> io::Result<Socket> {
    let domain = match way {
        Way::Mapped => Domain::IPV6,
        _ => Domain::for_address(to),
    };
    let socket = match way {
        Way::Udp => Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
        Way::Mptcp => Socket::new(domain, Type::STREAM, Some(Protocol::MPTCP))?,
        _ => Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?,
    };
    socket.set_nonblocking(matches!(way, Way::NonBlocking))?;
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

fn name(error: &io::Error) -> String {
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

/// One of the ways for a connection to fail or to end. What is refused by the limit is over at once.
fn mix(number: usize, [open, refused, no_route, silent]: [SocketAddr; 4]) {
    let socket = |way, to| new(way, to).expect("make a socket");
    let (blocking, at_once) = (Way::Blocking, Way::NonBlocking);
    match number % 14 {
        0 => drop(connect(blocking, open)),
        1 => drop(connect(blocking, refused)),
        2 => drop(connect(blocking, no_route)),
        // Closed before the answer.
        3 => drop(connect(at_once, open)),
        4 => drop(connect(at_once, silent)),
        // Used again after each way to fail.
        5 => {
            let socket = socket(blocking, open);
            for to in [no_route, refused, no_route, open] {
                let _ = socket.connect(&to.into());
            }
        }
        // Disconnected, and used again.
        6 => {
            let socket = socket(at_once, silent);
            let _ = socket.connect(&silent.into());
            disconnect(&socket);
            let _ = socket.connect(&open.into());
            disconnect(&socket);
        }
        // Twice at once.
        7 => {
            let socket = socket(at_once, silent);
            let _ = socket.connect(&silent.into());
            let _ = socket.connect(&open.into());
        }
        8 => drop(connect(Way::FastOpen, open)),
        // Deferred until there are data, which never come.
        9 => {
            let socket = socket(blocking, open);
            fast_open_connect(&socket);
            let _ = socket.connect(&open.into());
        }
        // Reset.
        10 => {
            if let (Some(socket), _) = connect(blocking, open) {
                let _ = socket.set_linger(Some(std::time::Duration::ZERO));
            }
        }
        // No address to come from.
        11 => {
            let socket = socket(blocking, open);
            let _ = socket.set_reuse_address(true);
            let from: SocketAddr = "127.0.0.1:4242".parse().expect("literal");
            let _ = socket.bind(&from.into());
            let _ = socket.connect(&open.into());
        }
        12 => drop(connect(Way::Mapped, open)),
        // Half closed first.
        _ => {
            if let (Some(socket), _) = connect(blocking, open) {
                let _ = socket.shutdown(std::net::Shutdown::Both);
            }
        }
    }
}

fn disconnect(socket: &Socket) {
    let nobody = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as u16,
        sa_data: [0; 14],
    };
    // SAFETY: the address lives during the call, and has this length.
    unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, 16) };
}

fn fast_open_connect(socket: &Socket) {
    let on: libc::c_int = 1;
    // SAFETY: the value lives during the call, and has this length.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN_CONNECT,
            (&raw const on).cast(),
            4,
        )
    };
}
