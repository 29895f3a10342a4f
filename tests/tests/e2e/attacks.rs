//! What attackers send, and that nobody but them notices.
//!
//! Every attack is against the same [`Stage`]: a limited server, and a client of another key. While
//! the attack goes on, that client connects and is answered. Afterwards every zone counts what the
//! kernel has open, and the maps and the daemon have not grown.
//!
//! What others test already is not here: refusals by the tens of thousands, and what they tell
//! (`flood`), handshakes completed all at once (`burst`), every end of a connection (`ends`, `churn`),
//! attacks by the actions `reset` and `close` (`actions`), frames that contradict themselves
//! (`xdp_table`), what the control socket has to bear (`guard`), sockets that connect outwards
//! (`upstream`).

mod churn;
mod cookies;
mod eviction;
mod exhaustion;
mod fast_open;

mod forged_ends;
mod fragments;
mod half_closed;
mod holding;
mod multipath;
mod simultaneous;
mod stray_acks;
mod syn_flood;
mod talk;
mod time_wait;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
};

use tests::{
    Limiter, Server, World, client,
    packet::Flow,
    settle,
    settle::{PATIENCE, poll},
    sockdiag,
    tun::Tun,
    usage::{Usage, map_bytes},
};

use crate::{PORT, ZONE};

/// Ten connections a client, in a zone of 1 024 keys; and all of them together.
const CONFIG: &str = "
    limit_conn_zone $binary_remote_addr zone=addr:64k;
    limit_conn_zone $server_name zone=all:32k;
    server { server_name web; listen 8080; limit_conn addr 10; limit_conn all 60000; }
";
/// Where the server listens; all other addresses of these networks are the attackers'.
const NETWORKS: [&str; 2] = ["10.0.0.1/8", "fd00::1/16"];
const LISTEN: [&str; 2] = ["10.0.0.1:8080", "[fd00::1]:8080"];
/// An attacker.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(10, 66, 6, 6);
/// The client that is to notice nothing. It comes over loopback.
const OTHER: &str = "127.0.0.9";
/// How much more memory the daemon may have afterwards: about what the answers to its own questions
/// cost it, and far less than a byte for each packet.
const DAEMON_BYTES: u64 = 16 << 20;

/// A server behind a device of the test's own, its limiter, and somebody else's connection.
struct Stage {
    /// Open since before the attack.
    held: Option<TcpStream>,
    /// Memory of maps, and of the daemon, before the attack.
    before: (u64, u64),
    limiter: Limiter,
    server: Server,
    tun: Tun,
    world: World,
}

impl Stage {
    fn new() -> Self {
        Self::with(&[], &[], CONFIG)
    }

    /// With switches of the namespace, flags of the server and a configuration.
    fn with(switches: &[(&str, &str)], flags: &[&str], config: &str) -> Self {
        let world = World::new();
        for (name, value) in switches {
            world.netns.sysctl(name, value);
        }
        let networks = NETWORKS.map(|it| it.parse().expect("literal"));
        let tun = Tun::ethernet(&world.netns, "tun0", &networks);
        let server = Server::start(&world, &LISTEN, flags);
        let limiter = Limiter::start_config(&world, config);
        let held = world.open(OTHER, server.address());
        limiter.status();
        let before = (
            map_bytes(limiter.id()),
            Usage::of(limiter.id()).memory_bytes,
        );
        Self {
            held: Some(held),
            before,
            limiter,
            server,
            tun,
            world,
        }
    }

    /// A flow of this client.
    fn flow(&self, client: impl Into<IpAddr>, port: u16, isn: u32) -> Flow {
        Flow {
            client: SocketAddr::new(client.into(), port),
            server: self.server.address(),
            isn,
        }
    }

    /// Somebody else has a connection still, and gets another one.
    #[track_caller]
    fn others_go_on(&self) {
        let another = self.world.open(OTHER, self.server.address());
        must_echo(self.held.as_ref().expect("it is held"));
        must_echo(&another);
        client::close_by_server(another).expect("close");
    }

    /// Nobody else was refused, and the zones count what the kernel has open, key by key.
    #[track_caller]
    fn must_be_exact(&self) {
        let mut seen = (Books::default(), Books::default());
        let equal = poll(PATIENCE, || {
            seen = (self.counted(), self.open());
            seen.0 == seen.1
        });
        assert!(equal, "counted {:?}, open {:?}", seen.0, seen.1);
        for zone in self.limiter.status().zones {
            let lost = (zone.evicted, zone.drift, zone.untracked);
            assert_eq!(lost, (0, 0, 0), "evicted, drift, untracked: {zone:?}");
        }
        let other: IpAddr = OTHER.parse().expect("literal");
        let keys = self.limiter.top(ZONE, MANY);
        let other = keys.iter().find(|key| key.parts.remote_addr == Some(other));
        assert_eq!(other.map_or(0, |key| key.rejected), 0, "{OTHER}");
    }

    /// The maps are as large as they were, and the daemon is not much larger.
    #[track_caller]
    fn must_have_grown_little(&self) {
        let id = self.limiter.id();
        let (maps, daemon) = self.before;
        assert_eq!(map_bytes(id), maps, "memory of the maps");
        let now = Usage::of(id).memory_bytes;
        assert!(now < daemon + DAEMON_BYTES, "{daemon} bytes, now {now}");
    }

    /// Everybody leaves, and nothing is left.
    #[track_caller]
    fn ends(mut self) {
        self.must_be_exact();
        drop(self.held.take());
        self.server.command("reset");
        settle("open", 0, || self.world.open_at(PORT));
        self.must_be_exact();
        for zone in self.limiter.status().zones {
            assert_eq!((zone.connections, zone.keys), (0, 0), "{zone:?}");
        }
        self.must_have_grown_little();
    }

    fn counted(&self) -> Books {
        let keys = self.limiter.top(ZONE, MANY).into_iter();
        let live = keys.filter(|key| key.connections > 0);
        let keys = live.map(|key| {
            (
                key.parts.remote_addr.expect("counts by it"),
                key.connections,
            )
        });
        let zones = self.limiter.status().zones;
        Books {
            keys: keys.collect(),
            zones: zones.iter().map(|zone| zone.connections).collect(),
        }
    }

    fn open(&self) -> Books {
        let sockets = sockdiag::connections(&self.world.netns, PORT);
        let mut keys = BTreeMap::new();
        for socket in &sockets {
            *keys.entry(socket.remote.ip()).or_default() += 1;
        }
        let zones = self.limiter.status().zones.len();
        Books {
            keys,
            zones: vec![sockets.len() as u64; zones],
        }
    }
}

/// More keys than any zone here has.
const MANY: usize = 100_000;

/// Connections by client, and in each zone.
#[derive(Debug, Default, PartialEq, Eq)]
struct Books {
    keys: BTreeMap<IpAddr, u32>,
    zones: Vec<u64>,
}

/// The server's application answers.
#[track_caller]
fn must_echo(mut stream: &TcpStream) {
    let mut answer = [0; 5];
    stream.write_all(b"hello").expect("write");
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"hello");
}
