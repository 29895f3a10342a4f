//! The other process: a server, or clients, inside the limited cgroup.

use std::{
    net::SocketAddr,
    process::{Command, ExitStatus},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    cgroup::Cgroup,
    netns::NetNs,
    process::{Process, binary},
    settle::PATIENCE,
    world::World,
};

/// A server process in the cgroup and namespace of a [`World`].
#[derive(Debug)]
pub struct Server {
    process: Process,
    listen: Vec<SocketAddr>,
}

/// What the server has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Connections accepted since start.
    pub accepted: u64,
    /// Of those, not closed yet.
    pub open: u64,
}

impl Server {
    /// Starts one; `flags` as `peer serve --help` says.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn start(world: &World, listen: &[&str], flags: &[&str]) -> Self {
        Self::start_in(world, Some(&world.cgroup), listen, flags)
    }

    /// Starts one in the namespace of the world, but in another cgroup or in none of the test's.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn start_in(
        world: &World,
        cgroup: Option<&Cgroup>,
        listen: &[&str],
        flags: &[&str],
    ) -> Self {
        Self::start_at(&world.netns, cgroup, listen, flags)
    }

    /// Starts one in this namespace, and in this cgroup or in none of the test's.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn start_at(
        netns: &NetNs,
        cgroup: Option<&Cgroup>,
        listen: &[&str],
        flags: &[&str],
    ) -> Self {
        let mut command = Command::new(binary("peer", "LIMITER_PEER_BIN"));
        command.arg("serve").args(listen).args(flags);
        let process = Process::start(command, Some(netns), cgroup);
        let line = process.stdout().next(PATIENCE);
        assert_eq!(
            line.as_deref(),
            Some("listening"),
            "the server does not start: {}",
            process.stderr().text()
        );
        Self {
            process,
            listen: listen
                .iter()
                .map(|address| address.parse().expect("an address with a port"))
                .collect(),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its first address.
    pub fn address(&self) -> SocketAddr {
        self.listen[0]
    }

    /// Its first port.
    pub fn port(&self) -> u16 {
        self.listen[0].port()
    }

    /// What it has seen so far.
    pub fn stat(&mut self) -> Stat {
        self.command("stat")
    }

    /// Gives it a command: `pause`, `resume`, `close`, `reset`, `unlisten`.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn command(&mut self, command: &str) -> Stat {
        self.process.say(command);
        let line = self
            .process
            .stdout()
            .next(PATIENCE)
            .unwrap_or_else(|| panic!("no answer to {command:?}"));
        let value: Value = serde_json::from_str(&line).expect("an answer in JSON");
        let number = |name: &str| value[name].as_u64().expect("a number");
        Stat {
            accepted: number("accepted"),
            open: number("open"),
        }
    }

    /// Kills it.
    pub fn kill(mut self) -> ExitStatus {
        self.process.signal(Signal::SIGKILL);
        self.process.wait(PATIENCE)
    }
}

/// A client process in the same cgroup and namespace; holds its connections until dropped.
#[derive(Debug)]
pub struct Clients {
    process: Process,
    /// Connections that the server greeted.
    pub established: u64,
    /// Connections that nobody answered.
    pub timed_out: u64,
}

impl Clients {
    /// Opens `count` connections one after the other.
    ///
    /// # Panics
    /// If it does not report.
    pub fn open(world: &World, from: &str, to: SocketAddr, count: usize) -> Self {
        let mut command = Command::new(binary("peer", "LIMITER_PEER_BIN"));
        command.arg("open").arg(to.to_string()).args([
            "--from",
            from,
            "--count",
            &count.to_string(),
        ]);
        let process = Process::start(command, Some(&world.netns), Some(&world.cgroup));
        let line = process
            .stdout()
            .next(PATIENCE)
            .unwrap_or_else(|| panic!("no report: {}", process.stderr().text()));
        let value: Value = serde_json::from_str(&line).expect("a report in JSON");
        let number = |name: &str| value[name].as_u64().expect("a number");
        Self {
            process,
            established: number("established"),
            timed_out: number("timed_out"),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}
