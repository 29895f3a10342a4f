//! The kernel's side: a host with an interface, and another way in.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use limiter_common::names::PROGRAM_XDP;
use tests::{
    Limiter, Server, World,
    limiter::cli,
    packet::Flow,
    routing,
    settle::PATIENCE,
    tap::Tap,
    test_run::{Ingress, Program},
    tun::Tun,
    xdp::Verdict,
};

use super::hosts::{LOCAL, Listening};

const INTERFACE: &str = "front0";
const SIDE: &str = "side0";

/// What all policies have in common.
pub struct Host {
    world: World,
    /// The interface with the program.
    front: Tap,
    /// The way of connections, without a program: every client is the test.
    side: Tun,
}

impl Host {
    pub fn new() -> Self {
        let world = World::new();
        let addresses = LOCAL.map(|addr| IpNet::new(addr, if addr.is_ipv4() { 8 } else { 16 }));
        let [one, two, three, four] = addresses.map(|net| net.expect("a prefix length"));
        let side = Tun::ethernet(&world.netns, SIDE, &[one, three]);
        for more in [two, four] {
            routing::add_address(&world.netns, SIDE, IpNet::from(more.addr()));
        }
        let front = Tap::new(&world.netns, INTERFACE, &[]);
        Self { world, front, side }
    }
}

/// A limiter with one policy, and servers that it limits.
pub struct Scene<'a> {
    pub limiter: Limiter,
    host: &'a Host,
    program: Program,
    _server: Server,
    attempts: u32,
}

impl<'a> Scene<'a> {
    pub fn new(host: &'a Host, listening: &Listening, policy: &str) -> Self {
        let sockets: Vec<_> = listening.sockets.iter().map(String::as_str).collect();
        // Nothing is said, so that nothing is to be repeated because nobody acknowledges it.
        let server = Server::start(&host.world, &sockets, &["--paused"]);
        // Of the scene before, whose limiter was killed.
        cli(&host.world.control(), &["detach"]);
        let limiter = Limiter::start_config(&host.world, &configuration(policy));
        let program = Program::of(limiter.id(), PROGRAM_XDP);
        Self {
            limiter,
            host,
            program,
            _server: server,
            attempts: 0,
        }
    }

    /// Puts another policy in force.
    pub fn reload(&self, policy: &str) {
        self.limiter
            .reload(&self.host.world, &configuration(policy));
    }

    /// An attempt that nobody has made before.
    pub fn attempt(&mut self, client: IpAddr, to: SocketAddr) -> Flow {
        self.attempts += 1;
        let port = 2_000 + u16::try_from(self.attempts % 60_000).expect("below 65536");
        Flow {
            client: SocketAddr::new(client, port),
            server: to,
            isn: self.attempts << 8,
        }
    }

    /// Whether a handshake comes to its end. What is expected to is waited for; what is not has been
    /// refused already when the SYN is sent, and a mistake about that shows in the counters.
    pub fn connect(&self, flow: Flow, is_expected: bool) -> bool {
        let patience = if is_expected {
            PATIENCE
        } else {
            Duration::ZERO
        };
        self.host.side.drain();
        self.host.side.connect(flow, patience).is_some()
    }

    /// Ends a connection from the client's side.
    pub fn close(&self, flow: &Flow) {
        self.host.side.send(&flow.rst());
    }

    /// What the program says of a frame.
    pub fn run(&self, frame: &[u8]) -> Verdict {
        let ingress = Ingress {
            netns: &self.host.world.netns,
            interface: self.host.front.index(),
        };
        self.program.once(frame, ingress).verdict
    }
}

fn configuration(policy: &str) -> String {
    format!("attach interface {INTERFACE} mode=native;\n{policy}")
}
