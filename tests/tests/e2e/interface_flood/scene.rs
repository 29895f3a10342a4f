//! A server behind an interface, and floods.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use limiter::api::ZoneStatus;
use tests::{
    Limiter, Server, World, client, frame, link,
    settle::PATIENCE,
    syn_flood::RawSocket,
    veth::{self, Veth},
};

use crate::ZONE;

const TO: &str = "10.0.0.1:8080";

/// A server behind an interface that is attached to.
pub struct Scene {
    pub limiter: Limiter,
    _server: Server,
    pub veth: Veth,
    pub world: World,
}

impl Scene {
    /// With a limit for every address.
    pub fn set(limit: &str) -> Self {
        Self::with(&["--limit", limit])
    }

    pub fn with(limits: &[&str]) -> Self {
        let flags = ["--listen", "8080", "--interface", veth::SERVERS];
        Self::of(|world| Limiter::start(world, &[&flags, limits].concat()))
    }

    pub fn of(start: impl FnOnce(&World) -> Limiter) -> Self {
        let world = World::new();
        let veth = Veth::new(&world.netns);
        link::set_mac(&world.netns, veth::SERVERS, frame::SERVER);
        link::set_mac(veth.clients(), veth::CLIENTS, frame::CLIENT);
        let server = world.serve(&[TO]);
        Self {
            limiter: start(&world),
            _server: server,
            veth,
            world,
        }
    }

    pub fn zone(&self) -> ZoneStatus {
        self.limiter.zone(ZONE)
    }

    /// What sends SYNs of these clients, each a new attempt.
    pub fn flood(&self, clients: impl IntoIterator<Item = IpAddr> + Send) -> RawSocket {
        let socket = || RawSocket::from_each(veth::CLIENTS, clients, to());
        self.veth.clients().run(socket).expect("a raw socket")
    }

    /// Does something while SYNs of this client come in all the time, but never so many that the device has
    /// no room for what else does.
    pub fn while_flooded_from(&self, from: IpAddr, act: impl FnOnce()) {
        const PAUSE: Duration = Duration::from_micros(300);
        // It ends, also if what is done meanwhile fails.
        const CALLS: u32 = 100_000;
        let mut flood = self.flood([from]);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..CALLS {
                    if is_over.load(Relaxed) {
                        break;
                    }
                    send(&mut flood, 1);
                    thread::sleep(PAUSE);
                }
            });
            act();
            is_over.store(true, Relaxed);
        });
    }

    /// The interface refuses where a listener has refused a moment ago.
    pub fn is_refused_at_the_listener(&self, from: IpAddr) {
        client::must_be_refused(self.veth.clients(), from, to());
    }

    /// Refusals of each client that was refused.
    pub fn refused(&self) -> BTreeMap<IpAddr, u64> {
        let keys = self.limiter.top_rejected(ZONE, usize::MAX).into_iter();
        keys.map(|key| (key.parts.remote_addr.expect("in the key"), key.rejected))
            .collect()
    }
}

/// The server.
pub fn to() -> SocketAddr {
    TO.parse().expect("literal")
}

/// The client of this number.
pub fn number(number: u16) -> IpAddr {
    veth::client(to().ip(), number)
}

/// Sends as many as fit into a few calls; how many.
pub fn send(flood: &mut RawSocket, calls: u32) -> u64 {
    (0..calls)
        .map(|_| u64::from(flood.call().expect("send frames")))
        .sum()
}

/// A connection that the server has greeted, from a port that no flood takes: it would answer for the
/// client.
pub fn connect(from: IpAddr, number: u16) -> TcpStream {
    const PORTS: u16 = 500;
    let port = 65_030 + number % PORTS;
    client::open_from((from, port).into(), to(), PATIENCE).expect("below the limit")
}

/// Has the server end the oldest connection. Its slot has been given back when the client is told so
/// (net/ipv4/tcp.c, tcp_disconnect), and the next one is the client's.
pub fn renew(open: &mut Vec<TcpStream>, from: IpAddr, number: u16) {
    client::reset_by_server(open.remove(0)).expect("reset");
    open.push(connect(from, number));
}
