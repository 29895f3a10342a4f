//! Connections that are open all the time, at ports where nobody accepts: so they need no descriptors.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use tests::{Server, process::Process, settle, settle::PATIENCE, sockdiag, tun::Tun};

use crate::scene::{SERVER, Scene};

/// First address of the forged clients.
const FIRST: Ipv4Addr = Ipv4Addr::new(20, 1, 0, 0);
/// Ports of the queues.
const PORTS: [u16; 4] = [8_050, 8_051, 8_052, 8_053];

/// Listeners that hold, until dropped.
pub struct Queues {
    _servers: Server,
}

impl Queues {
    /// In the servers' host.
    pub fn open(scene: &Scene) -> Self {
        let listen = PORTS.map(|port| format!("{SERVER}:{port}"));
        let listen = listen.each_ref().map(String::as_str);
        let options = ["--paused", "--backlog", "1100000"];
        Self {
            _servers: Server::start_in(&scene.world, Some(&scene.world.cgroup), &listen, &options),
        }
    }
}

/// Clients with one connection each, behind a device of their own.
pub struct Forged {
    _tun: Tun,
    count: u32,
}

impl Forged {
    /// So many of them.
    pub fn connect(scene: &Scene, count: u32) -> Self {
        let tun = Tun::new(&scene.world.netns, Ipv4Addr::new(20, 0, 0, 1), 8);
        let each = count.div_ceil(PORTS.len() as u32);
        for (place, port) in (0..).zip(PORTS) {
            let begin = (each * place).min(count);
            let first = Ipv4Addr::from_bits(FIRST.to_bits() + begin);
            tun.connect_from(first, each.min(count - begin), (SERVER, port).into());
        }
        Self { _tun: tun, count }
    }

    /// At most so many of their addresses, spread over all of them.
    pub fn some(&self, most: u32) -> Vec<IpAddr> {
        let number = most.min(self.count);
        let step = self.count / number;
        (0..number)
            .map(|at| Ipv4Addr::from_bits(FIRST.to_bits() + at * step).into())
            .collect()
    }
}

/// Connections of one client, held by processes of their own.
pub struct OneClient {
    _holders: Vec<Process>,
}

/// Connections of one process: fewer than the descriptors that it may have.
const EACH: u32 = 15_000;

impl OneClient {
    /// So many connections of this client.
    pub fn connect(scene: &Scene, from: IpAddr, count: u32) -> Result<Self> {
        let mut holders = Vec::new();
        let mut left = count;
        while left > 0 {
            let number = left.min(EACH);
            left -= number;
            let mut command = Command::new(std::env::current_exe().context("find this program")?);
            command.args(["hold", &from.to_string(), &number.to_string()]);
            let holder = Process::start(command, Some(scene.cable().clients()), None);
            let line = holder.stdout().next(PATIENCE * 3);
            ensure!(
                line.as_deref() == Some("held"),
                "{number} connections are not held: {}",
                holder.stderr().text()
            );
            holders.push(holder);
        }
        let open = || -> u64 {
            let queues = PORTS.iter();
            queues
                .map(|port| sockdiag::count(&scene.world.netns, *port))
                .sum()
        };
        settle("the crowd", u64::from(count), open);
        Ok(Self { _holders: holders })
    }
}

/// What a holder does, until it is killed.
pub fn hold(from: IpAddr, count: u32) -> Result<()> {
    tests::descriptors::raise_limit();
    let connect = |at: u32| {
        let to = (SERVER, PORTS[at as usize % PORTS.len()]).into();
        tests::client::connect_here(from, to, PATIENCE)
            .with_context(|| format!("connection {at} from {from} to {to}"))
    };
    let held: Vec<_> = (0..count).map(connect).collect::<Result<_>>()?;
    tests::figures::println("held");
    std::thread::park();
    drop(held);
    Ok(())
}
