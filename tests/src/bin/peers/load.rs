//! Clients that connect and leave as fast as they can, a number of them at a time. One thread.

use std::{
    net::{IpAddr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};
use tests::cpu;

use crate::attempt::{self, Greeted};

/// What clients do.
#[derive(Clone, Debug)]
pub struct Load {
    /// Addresses that they connect from, in turn.
    pub from: Vec<IpAddr>,
    /// Where they connect to, in turn.
    pub to: Vec<SocketAddr>,
    /// How many of them at a time.
    pub together: usize,
    /// After this time they call themselves refused, if nobody has answered.
    pub patience: Duration,
}

/// When they have done enough.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After this time.
    Over(Duration),
    /// After so many connections, refused ones included.
    Tried(u64),
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Connections that the server has greeted.
    pub greeted: u64,
    /// Connections that ended before that, or that nobody answered.
    pub refused: u64,
    /// How long it took.
    pub time: Duration,
    /// What it took the clients of a CPU.
    pub cpu: Duration,
}

/// Has them do it, on the calling thread and in its namespace.
pub fn run(load: &Load, until: Until) -> Result<Done> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("make an epoll")?;
    let mut clients: Vec<Client> = (0..load.together).map(|_| Client::default()).collect();
    let mut done = Done::default();
    let (begin, cpu) = (Instant::now(), cpu::own_time());
    let mut turn = 0;
    for (index, client) in clients.iter_mut().enumerate() {
        client.connect(load, &mut turn, index, &epoll)?;
    }
    let mut events = [EpollEvent::empty(); 256];
    let mut looked = begin;
    loop {
        let wait = load.patience.min(Duration::from_millis(10));
        let wait = EpollTimeout::try_from(wait).context("a timeout")?;
        let count = match epoll.wait(&mut events, wait) {
            Err(nix::errno::Errno::EINTR) => continue,
            result => result.context("wait for clients")?,
        };
        for event in &events[..count] {
            let index = event.data() as usize;
            match clients[index].greeted()? {
                Greeted::NotYet => continue,
                Greeted::Yes => done.greeted += 1,
                Greeted::Never => done.refused += 1,
            }
            clients[index].leave();
            clients[index].connect(load, &mut turn, index, &epoll)?;
        }
        let now = Instant::now();
        if now - looked >= load.patience.min(Duration::from_millis(5)) {
            looked = now;
            for (index, client) in clients.iter_mut().enumerate() {
                if now - client.since >= load.patience {
                    done.refused += 1;
                    client.leave();
                    client.connect(load, &mut turn, index, &epoll)?;
                }
            }
        }
        let enough = match until {
            Until::Over(time) => now - begin >= time,
            Until::Tried(number) => done.greeted + done.refused >= number,
        };
        if enough {
            done.time = now - begin;
            done.cpu = cpu::own_time() - cpu;
            return Ok(done);
        }
    }
}

struct Client {
    stream: Option<TcpStream>,
    since: Instant,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            stream: None,
            since: Instant::now(),
        }
    }
}

impl Client {
    fn connect(
        &mut self,
        load: &Load,
        turn: &mut usize,
        index: usize,
        epoll: &Epoll,
    ) -> Result<()> {
        let number = *turn;
        *turn += 1;
        let from = load.from[number % load.from.len()];
        let to = load.to[number % load.to.len()];
        self.stream = Some(attempt::begin(from, to, epoll, index)?);
        self.since = Instant::now();
        Ok(())
    }

    fn greeted(&mut self) -> Result<Greeted> {
        self.stream
            .as_mut()
            .map_or(Ok(Greeted::NotYet), attempt::look)
    }

    fn leave(&mut self) {
        self.stream.take().into_iter().for_each(attempt::leave);
    }
}
