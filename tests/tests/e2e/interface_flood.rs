//! A flood on an interface: a slot that is given back in the middle of it is usable at once, and every
//! refusal of every key is counted.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpStream},
    panic::{self, AssertUnwindSafe},
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use limiter::api::ZoneStatus;
use tests::{
    Limiter, Server, World, client,
    cpu::Cpu,
    frame, link, mib, settle,
    settle::PATIENCE,
    syn_flood::RawSocket,
    veth::{self, Veth},
};

use crate::{ZONE, flood};

/// Events come within it.
const QUIET: Duration = Duration::from_millis(300);

const TO: &str = "10.0.0.1:8080";

/// A server behind an interface that is attached to.
struct Scene {
    limiter: Limiter,
    _server: Server,
    veth: Veth,
    world: World,
}

impl Scene {
    /// With a limit for every address.
    fn set(limit: &str) -> Self {
        Self::with(&["--limit", limit])
    }

    fn with(limits: &[&str]) -> Self {
        let flags = ["--listen", "8080", "--interface", veth::SERVERS];
        Self::of(|world| Limiter::start(world, &[&flags, limits].concat()))
    }

    fn of(start: impl FnOnce(&World) -> Limiter) -> Self {
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

    fn zone(&self) -> ZoneStatus {
        self.limiter.zone(ZONE)
    }

    /// What sends SYNs of these clients, each a new attempt.
    fn flood(&self, clients: impl IntoIterator<Item = IpAddr> + Send) -> RawSocket {
        let socket = || RawSocket::from_each(veth::CLIENTS, clients, to());
        self.veth.clients().run(socket).expect("a raw socket")
    }

    /// Does something while SYNs of this client come in all the time, but never so many that the device has
    /// no room for what else does.
    fn while_flooded_from(&self, from: IpAddr, act: impl FnOnce()) {
        const PAUSE: Duration = Duration::from_micros(300);
        // For it ends, whatever happens to the other thread.
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
            let result = panic::catch_unwind(AssertUnwindSafe(act));
            is_over.store(true, Relaxed);
            result.unwrap_or_else(|cause| panic::resume_unwind(cause));
        });
    }

    /// The interface refuses where a listener has refused a moment ago.
    fn is_refused_at_the_listener(&self, from: IpAddr) {
        client::must_be_refused(self.veth.clients(), from, to());
    }

    /// Refusals of each client that was refused.
    fn refused(&self) -> BTreeMap<IpAddr, u64> {
        let keys = self.limiter.top_rejected(ZONE, usize::MAX).into_iter();
        keys.map(|key| (key.parts.remote_addr.expect("in the key"), key.rejected))
            .collect()
    }
}

fn to() -> SocketAddr {
    TO.parse().expect("literal")
}

fn number(number: u16) -> IpAddr {
    veth::client(to().ip(), number)
}

/// Sends as many as fit into a few calls; how many.
fn send(flood: &mut RawSocket, calls: u32) -> u64 {
    (0..calls)
        .map(|_| u64::from(flood.call().expect("send frames")))
        .sum()
}

/// A connection that the server has greeted, from a port that no flood takes: it would answer for the
/// client.
fn connect(from: IpAddr, number: u16) -> TcpStream {
    const PORTS: u16 = 500;
    let port = 65_030 + number % PORTS;
    client::open_from((from, port).into(), to(), PATIENCE).expect("below the limit")
}

/// Has the server end the oldest connection. Its slot has been given back when the client is told so
/// (net/ipv4/tcp.c, tcp_disconnect), and the next one is the client's.
fn renew(open: &mut Vec<TcpStream>, from: IpAddr, number: u16) {
    client::reset_by_server(open.remove(0)).expect("reset");
    open.push(connect(from, number));
}

#[test]
fn a_slot_that_is_given_back_in_the_middle_of_a_flood_is_usable_at_once() {
    let scene = Scene::set("3");
    let from = number(5);
    let mut flood = scene.flood([from]);
    let mut open = client::open_many(scene.veth.clients(), from, to(), 3);
    scene.is_refused_at_the_listener(from);
    let before = scene.zone();
    let sent: u64 = scene.veth.clients().run(|| {
        let rounds = (0..400).map(|round| {
            let sent = send(&mut flood, 1);
            renew(&mut open, from, round);
            sent
        });
        rounds.sum()
    });
    settle("connections", 3, || scene.zone().connections);
    let zone = scene.zone();
    // Nothing but the flood was refused.
    assert_eq!(zone.rejected - before.rejected, sent);
    assert_eq!(zone.syn_retransmits, before.syn_retransmits);
    assert_eq!(zone.passed - before.passed, 400);
    assert_eq!(scene.refused(), [(from, zone.rejected)].into());
    scene.limiter.must_be_exact(ZONE);
}

#[test]
fn who_is_below_its_limit_is_never_refused_while_its_address_is_flooded_with() {
    const ROUNDS: u16 = 1_000;
    let _heavy = crate::heavy();
    let scene = Scene::set("3");
    let from = number(5);
    let clients = scene.veth.clients();
    let mut flood = scene.flood([from]);
    let mut open = client::open_many(clients, from, to(), 3);
    scene.is_refused_at_the_listener(from);
    let repeated = || mib::counter(clients, "TcpExt", "TCPSynRetrans");
    let before = repeated();
    // Whoever is connected has had everything received that was sent before. So there are never so many
    // SYNs under way that the device throws any away.
    let round = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                round.wait();
                send(&mut flood, 1);
            }
        });
        clients.run(|| {
            for number in 0..ROUNDS {
                round.wait();
                renew(&mut open, from, number);
            }
        });
    });
    assert_eq!(repeated(), before, "SYNs were sent again");
    settle("connections", 3, || scene.zone().connections);
    let zone = scene.zone();
    assert!(zone.rejected > 1, "the flood met the limit: {zone:?}");
    assert_eq!(scene.refused(), [(from, zone.rejected)].into());
    scene.limiter.must_be_exact(ZONE);
}

#[test]
fn every_refusal_of_every_key_is_told_however_many_there_are() {
    // So many that no CPU has all of them at hand.
    const CLIENTS: u16 = 1_280;
    let scene = Scene::set("1");
    let clients: Vec<_> = (1..=CLIENTS).map(number).collect();
    let netns = scene.veth.clients();
    let open: Vec<_> = clients
        .iter()
        .map(|client| client::open(netns, *client, to()))
        .collect();
    scene.is_refused_at_the_listener(clients[0]);
    let mut expected: BTreeMap<IpAddr, u64> = [(clients[0], scene.zone().rejected)].into();
    // A few by themselves, all in turn, and some of them.
    for (who, calls) in [(&clients[..2], 40), (&clients, 200), (&clients[..64], 50)] {
        let sent = send(&mut scene.flood(who.iter().copied()), calls);
        assert_eq!(sent % who.len() as u64, 0);
        for client in who {
            *expected.entry(*client).or_default() += sent / who.len() as u64;
        }
        assert_eq!(scene.refused(), expected);
        assert_eq!(scene.zone().rejected, expected.values().sum::<u64>());
    }
    drop(open);
    settle("connections", 0, || scene.zone().connections);
    scene.limiter.must_be_exact(ZONE);
}

/// Whatever the interface remembers of the client, it is forgotten with the policy that said no.
#[test]
fn a_policy_that_lets_the_client_in_does_so_at_once_in_the_middle_of_a_flood() {
    const ROUNDS: u32 = 30;
    let _heavy = crate::heavy();
    let policy = |limit: u32, zone: &str| {
        format!(
            "attach interface {};
             limit_conn_zone $binary_remote_addr zone={ZONE}:{zone};
             server {{ listen 8080; limit_conn {ZONE} {limit}; }}",
            veth::SERVERS
        )
    };
    let scene = Scene::of(|world| Limiter::start_config(world, &policy(2, "1m")));
    let from = number(5);
    let clients = scene.veth.clients();
    let repeated = || mib::counter(clients, "TcpExt", "TCPSynRetrans");
    let open = client::open_many(clients, from, to(), 2);
    scene.while_flooded_from(from, || {
        for round in 0..ROUNDS {
            scene.is_refused_at_the_listener(from);
            let before = repeated();
            let lets_in: Box<dyn Fn()> = match round % 3 {
                0 => Box::new(|| drop(scene.limiter.cli_ok(&["dry-run", "on"]))),
                1 => Box::new(|| drop(scene.limiter.reload(&scene.world, &policy(3, "1m")))),
                _ => Box::new(|| drop(scene.limiter.reload(&scene.world, &policy(3, "2m")))),
            };
            lets_in();
            let third = clients.run(|| connect(from, u16::try_from(round).expect("few")));
            assert_eq!(repeated(), before, "round {round}: its SYN was dropped");
            client::reset(third).expect("reset");
            if round % 3 == 0 {
                scene.limiter.cli_ok(&["dry-run", "off"]);
            } else {
                scene.limiter.reload(&scene.world, &policy(2, "1m"));
            }
            settle("connections", 2, || scene.zone().connections);
        }
    });
    drop(open);
    settle("connections", 0, || scene.zone().connections);
    scene.limiter.must_be_exact(ZONE);
}

/// Each CPU keeps what it has refused to itself for a moment.
#[test]
fn an_event_tells_what_all_cpus_have_refused_of_a_network() {
    const CALLS: u32 = 200;
    let _heavy = crate::heavy();
    let scene = Scene::with(&["--limit", "1", "--v4-prefix", "16"]);
    let _open = client::open(scene.veth.clients(), number(1), to());
    scene.is_refused_at_the_listener(number(2));
    let before = scene.zone().rejected;
    let events = scene.limiter.events();
    let cpus = Cpu::all().expect("CPUs");
    let of_network = || scene.limiter.top_rejected(ZONE, 1)[0].rejected;
    let (mut read, mut told) = (0, 0);
    for round in 1..=4 {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..)
                .zip(&cpus)
                .map(|(nth, cpu)| {
                    let mut flood = scene.flood((0..8).map(|n| number(10 + 8 * nth + n)));
                    scope.spawn(move || {
                        cpu.pin_self().expect("pinned");
                        for _ in 0..CALLS {
                            // While the other CPU is at it the device may have no room for some.
                            let _ = flood.call();
                        }
                    })
                })
                .collect();
            while !threads.iter().all(ScopedJoinHandle::is_finished) {
                let now = of_network();
                assert!(now >= read, "round {round}: {now} after {read}");
                read = now;
                let most = scene.zone().rejected;
                assert!(now <= most, "round {round}: {now} of {most}");
            }
        });
        // Until an event is due, and the interface leaves it to the listener.
        thread::sleep(Duration::from_millis(3_100));
        scene.is_refused_at_the_listener(number(2));
        let refused = scene.zone().rejected;
        assert!(
            refused > before + round * 10_000,
            "round {round}: {refused}"
        );
        assert_eq!(of_network(), refused, "round {round}");
        told += flood::told(&events.rest(QUIET));
        assert_eq!(told, refused - before, "round {round}");
    }
    scene.limiter.must_be_exact(ZONE);
}
