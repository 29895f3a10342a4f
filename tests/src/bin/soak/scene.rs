//! Namespaces, cables, servers: everything but the limiter and the load.

use std::{
    fs,
    net::{IpAddr, SocketAddr, TcpStream},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    time::Duration,
};

use tests::{
    Server, World,
    netns::NetNs,
    random::Random,
    tun::Tun,
    veth::{self, Veth},
};

use super::crowd::Place;

/// A server that is told by its addresses.
pub const MAIL: [&str; 2] = ["10.0.0.1:9930", "[fd00::1]:9930"];
/// Servers of an upstream with a queue.
pub const BACKEND: [&str; 2] = ["127.0.0.1:9001", "[::1]:9002"];
/// Servers of another: one that listens, one that does not, one that no route leads to
/// (RFC 5737), one that does not answer.
pub const PLAIN: [&str; 4] = ["127.0.0.1:9003", "127.0.0.1:9004", "203.0.113.9:80", SILENT];
const SILENT: &str = "127.0.0.1:9005";
/// Where floods come to.
pub const FLOODED: [&str; 3] = ["10.200.0.1:8080", "10.200.0.1:8081", "10.200.0.1:8082"];

/// All of it.
pub struct Scene {
    /// Its namespace has the servers, its cgroup is limited.
    pub world: World,
    /// Id of that cgroup.
    pub cgroup: u64,
    /// To the clients.
    pub veth: Veth,
    /// To nobody.
    pub tun: Tun,
    _outside: Vec<Server>,
    _filled: Vec<TcpStream>,
}

impl Scene {
    /// Sets it up.
    pub fn new() -> Self {
        let world = World::new();
        world.netns.sysctl("net/ipv4/tcp_fastopen", "3");
        // What is left of closed connections is not looked at.
        world.netns.sysctl("net/ipv4/tcp_max_tw_buckets", "4096");
        let veth = Veth::new(&world.netns);
        let tun = Tun::new(&world.netns, [10, 200, 0, 1].into(), 16);
        let open = [BACKEND[0], BACKEND[1], PLAIN[0]];
        let outside = vec![
            Server::start_in(&world, None, &open, &["--fast-open"]),
            Server::start_in(&world, None, &[SILENT], &["--paused", "--backlog", "1"]),
        ];
        Self {
            cgroup: world.cgroup.id(),
            _filled: fill(&world.netns),
            veth,
            tun,
            _outside: outside,
            world,
        }
    }

    /// Where clients are.
    pub fn places(&self) -> Vec<Place<'_>> {
        let numbers = [0x0101..=0x0108, 0x0201..=0x0204, 0x0301..=0x0303];
        let clients = |like: IpAddr, numbers: &[std::ops::RangeInclusive<u16>]| -> Vec<IpAddr> {
            let numbers = numbers.iter().cloned().flatten();
            numbers.map(|number| veth::client(like, number)).collect()
        };
        let (v4, v6): (SocketAddr, SocketAddr) = (at(MAIL[0]), at(MAIL[1]));
        let here = (1..=8).map(|n| IpAddr::from([127, 0, 1, n]));
        vec![
            Place {
                netns: self.veth.clients(),
                from: clients(v4.ip(), &numbers),
                to: vec!["10.0.0.1:8080", "10.0.0.1:8081", "10.0.0.1:8082", MAIL[0]],
            },
            Place {
                netns: self.veth.clients(),
                from: clients(v6.ip(), &[1..=8]),
                to: vec![
                    "[fd00::1]:8080",
                    "[fd00::1]:8081",
                    "[fd00::1]:8082",
                    MAIL[1],
                ],
            },
            Place {
                netns: &self.world.netns,
                from: here.chain([v6_loopback()]).collect(),
                to: vec![
                    "127.0.0.1:8080",
                    "127.0.0.1:8081",
                    "[::1]:8080",
                    "[::1]:8082",
                ],
            },
        ]
    }

    /// Something happens to the cable; what it was.
    pub fn flap(&self, random: &mut Random) -> &'static str {
        let after = Duration::from_millis(random.below(1_500) as u64);
        let servers = &self.world.netns;
        match random.below(3) {
            0 => {
                self.veth.flap(servers, veth::SERVERS, after);
                "the interface goes down and up"
            }
            1 => {
                self.veth.flap(servers, veth::CLIENTS, after);
                "the other end of the interface goes down and up"
            }
            _ => {
                self.veth.replace(servers, after);
                "the interface is deleted and made again"
            }
        }
    }

    /// Inode numbers of the namespaces, by which others would have them.
    pub fn namespaces(&self) -> Vec<u64> {
        let both = [&self.world.netns, self.veth.clients()];
        let inode = |netns: &NetNs| {
            let file = netns
                .as_fd()
                .try_clone_to_owned()
                .expect("duplicate a descriptor");
            fs::File::from(file)
                .metadata()
                .expect("look at a namespace")
                .ino()
        };
        both.map(inode).to_vec()
    }
}

/// Takes the room of the one that does not answer.
fn fill(netns: &NetNs) -> Vec<TcpStream> {
    let connect = || TcpStream::connect_timeout(&at(SILENT), Duration::from_millis(300)).ok();
    netns.run(|| std::iter::from_fn(connect).collect())
}

fn v6_loopback() -> IpAddr {
    std::net::Ipv6Addr::LOCALHOST.into()
}

/// An address from its text.
pub fn at(text: &str) -> SocketAddr {
    text.parse().expect("literal")
}
