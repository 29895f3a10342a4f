//! A flood on an interface: a slot that is given back in the middle of it is usable at once, another
//! policy holds at once, and every refusal of every key is counted and told.

mod scene;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::Barrier,
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use tests::{Limiter, client, cpu::Cpu, mib, settle, veth};

use self::scene::{Scene, connect, number, renew, send, to};
use crate::{ZONE, flood};

/// Events come within it.
const QUIET: Duration = Duration::from_millis(300);

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
