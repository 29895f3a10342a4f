//! Where a system stands while it is measured: a server, clients on another host, a cable between.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Command,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use tests::{World, cpu::Cpu, frame, link, process::Process, settle::PATIENCE, veth, veth::Veth};

use super::system::System;

/// Where clients connect to.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The first limited port. There are several, so that the search for a free port of a client, which
/// is one for each, does not get long.
pub const FIRST_PORT: u16 = 8_000;
/// The last port that is served.
pub const LAST_SERVED: u16 = 8_015;
/// The last limited port. Where nobody accepts, connections stand in the queue of the listener.
pub const LAST_PORT: u16 = 8_099;
/// Where the server listens behind a proxy.
pub const BACKENDS: [u16; 8] = [9_000, 9_001, 9_002, 9_003, 9_004, 9_005, 9_006, 9_007];

/// Two hosts. Gone when it is dropped, with all that is in it.
pub struct Scene {
    server: Process,
    cable: Veth,
    /// The servers' host.
    pub world: World,
}

impl Scene {
    /// For one system: if it is a proxy, the server stands behind it.
    pub fn set(system: System) -> Result<Arc<Self>> {
        let world = World::new();
        let cable = Veth::new(&world.netns);
        link::set_mac(&world.netns, veth::SERVERS, frame::SERVER);
        link::set_mac(cable.clients(), veth::CLIENTS, frame::CLIENT);
        for netns in [&world.netns, cable.clients()] {
            netns.sysctl("net/ipv4/ip_local_port_range", "1024 65535");
        }
        // A million connections may wait to be accepted.
        world.netns.sysctl("net/core/somaxconn", "1100000");
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.arg("serve");
        if system.is_proxy() {
            command.args(BACKENDS.map(|port| format!("127.0.0.1:{port}")));
        } else {
            command.args((FIRST_PORT..=LAST_SERVED).map(|port| format!("{SERVER}:{port}")));
        }
        let server = Process::start(command, Some(&world.netns), Some(&world.cgroup));
        let line = server.stdout().next(PATIENCE);
        ensure!(
            line.as_deref() == Some("listening"),
            "the server does not listen: {}",
            server.stderr().text()
        );
        Ok(Arc::new(Self {
            server,
            cable,
            world,
        }))
    }

    /// The cable.
    pub fn cable(&self) -> &Veth {
        &self.cable
    }

    /// Process id of the server.
    pub fn server(&self) -> u32 {
        self.server.id()
    }

    /// Whether somebody listens at a port.
    pub fn listens(&self, port: u16) -> bool {
        self.world
            .netns
            .run(|| std::net::TcpListener::bind((SERVER, port)))
            .is_err()
    }

    /// Has the server, a system's processes and the calling thread share one CPU, so that what one
    /// connection costs is all there is to measure.
    pub fn share(&self, cpu: Cpu, processes: &[u32]) -> Result<()> {
        for id in [self.server()].iter().chain(processes) {
            cpu.pin(*id)?;
        }
        cpu.pin_self()
    }
}

/// Addresses and ports that are served.
pub fn served() -> Vec<SocketAddr> {
    (FIRST_PORT..=LAST_SERVED)
        .map(|port| SocketAddr::new(SERVER.into(), port))
        .collect()
}

/// A client on the other host.
pub fn client(number: u16) -> IpAddr {
    veth::client(SERVER.into(), number)
}
