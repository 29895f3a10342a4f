//! A process in the limited cgroup that connects, in every way and with every end.

mod connect;
mod mix;
mod visit;

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, Write as _},
    net::SocketAddr,
    process::Command,
    thread,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use self::connect::connect;
pub use self::visit::{Load, Visit, most_at_once};
use crate::{
    cgroup::Cgroup,
    netns::NetNs,
    process::{Process, binary},
    settle::PATIENCE,
    world::World,
};

/// Such a process.
#[derive(Debug)]
pub struct Outgoing(Process);

/// How connects have ended: `established`, `in progress`, or the name of the error.
pub type Ends = BTreeMap<String, u64>;

/// The end that is none.
pub const ESTABLISHED: &str = "established";

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
    /// Open so many at the same time, one thread each, and hold each for a while.
    Visit {
        /// How many.
        count: usize,
        /// How much later each begins than the one before, ms.
        gap_ms: u64,
        /// How long each is held, ms.
        hold_ms: u64,
        /// To where.
        to: SocketAddr,
    },
    /// Open and close at random, eight at a time.
    Load {
        /// For how long, ms.
        for_ms: u64,
        /// How long each is held at the most, ms.
        hold_ms: usize,
        /// To where.
        to: [SocketAddr; 2],
    },
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
    /// One that has this address and port, which others may have too (SO_REUSEPORT), and does not wait.
    Bound(SocketAddr),
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
        Self::start_at(&world.netns, cgroup)
    }

    /// Starts one in another network namespace.
    pub fn start_at(netns: &NetNs, cgroup: Option<&Cgroup>) -> Self {
        let mut command = Command::new(binary("peer", "LIMITER_PEER_BIN"));
        command.arg("outgoing");
        Self(Process::start(command, Some(netns), cgroup))
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
        self.read()
    }

    /// What came of [`Order::Visit`], in the order in which the visits began.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    pub fn visits(&self) -> Vec<Visit> {
        self.read()
    }

    /// What came of [`Order::Load`].
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    pub fn load(&self) -> Load {
        self.read()
    }

    #[track_caller]
    fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        let line = self.0.stdout().next(2 * PATIENCE);
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
            Order::Visit {
                count,
                gap_ms,
                hold_ms,
                to,
            } => {
                let visits = visit::all(count, gap_ms, hold_ms, to);
                writeln!(io::stdout(), "{}", serde_json::to_string(&visits)?)?;
                continue;
            }
            Order::Load {
                for_ms,
                hold_ms,
                to,
            } => {
                let load = visit::load(for_ms, hold_ms, to);
                writeln!(io::stdout(), "{}", serde_json::to_string(&load)?)?;
                continue;
            }
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
                        .for_each(|number| mix::one(number, [open, refused, no_route, silent]));
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
