//! Many at once: never more wait than may, and the application sees none of them.

use std::{io, net::SocketAddr, thread};

use tests::{
    Limiter, Server, World, client, settle,
    settle::{PATIENCE, poll},
    tun::Tun,
    waiting::{End, Waiting},
    world::address,
};

use super::{LONG, flags, settle_waiting};
use crate::{CLIENT, PORT, SERVER, ZONE};

#[test]
fn of_a_hundred_clients_at_once_five_wait_and_the_others_are_reset_or_dropped() {
    let _heavy = crate::heavy();
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("5", LONG));
    let _open = world.open_many(CLIENT, server.address(), 5);
    let mut all = Vec::new();
    for wave in 1..=3 {
        all.extend(crowd(&world, server.address(), 100));
        settle_waiting(&world, 5);
        let (open, rest) = ends(&mut all);
        assert_eq!(open, 5, "wave {wave}");
        assert_eq!(rest, [], "those that lose are reset");
        all.retain_mut(|it| it.end(client::REFUSED_AFTER) == End::Open);
        assert_eq!(all.len(), 5);
    }
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.connections, zone.passed, zone.rejected, zone.excess),
        (5, 5, 300, 0)
    );
    assert_eq!(server.stat().accepted, 5);
    drop(all);
    settle_waiting(&world, 0);
    let _again: Vec<_> = (0..5)
        .map(|_| world.must_wait(CLIENT, server.address()))
        .collect();
    settle_waiting(&world, 5);
    limiter.must_be_exact(ZONE);
}

#[test]
fn of_a_hundred_clients_that_find_a_server_idle_it_sees_five() {
    let _heavy = crate::heavy();
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("5", LONG));
    let all = crowd(&world, server.address(), 100);
    settle("connections", 5, || limiter.zone(ZONE).connections);
    settle("open", true, || {
        let (waiting, held) = world.waiting_at(PORT);
        waiting <= 5 && held == waiting && world.open_at(PORT) == 5 + waiting as u64
    });
    it_saw_who_passed(&mut server, &limiter, 5);
    // A client whose last packet of the handshake was held back may get a slot that is free now: until
    // it is gone, it is not said who passes.
    drop(all);
    settle("sockets", 0, || world.unfinished_at(PORT));
    settle("connections", 0, || limiter.zone(ZONE).connections);
    settle_waiting(&world, 0);
    let passed = limiter.zone(ZONE).passed;
    it_saw_who_passed(&mut server, &limiter, passed);
    limiter.must_be_exact(ZONE);
}

/// The application has seen those that passed, and at most those beside them that were established
/// at the same time as the last one and lost.
fn it_saw_who_passed(server: &mut Server, limiter: &Limiter, passed: u64) {
    let all_seen = poll(PATIENCE, || server.stat().accepted >= passed);
    let (zone, accepted) = (limiter.zone(ZONE), server.stat().accepted);
    assert!(all_seen, "{accepted} of {passed}");
    assert_eq!(zone.passed, passed);
    assert!(
        accepted <= passed + zone.excess,
        "{accepted} seen, {passed} passed, {} in excess",
        zone.excess
    );
}

/// Connects so many clients at the same time. Those that nobody answers are left out.
fn crowd(world: &World, to: SocketAddr, count: usize) -> Vec<Waiting> {
    let connect = || match Waiting::connect_within(
        &world.netns,
        address(CLIENT),
        to,
        client::REFUSED_AFTER,
    ) {
        Ok(waiting) => Some(waiting),
        Err(e) if e.kind() == io::ErrorKind::TimedOut => None,
        Err(e) => panic!("connect from {CLIENT} to {to}: {e}"),
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..count).map(|_| scope.spawn(connect)).collect();
        clients
            .into_iter()
            .filter_map(|client| client.join().expect("a client"))
            .collect()
    })
}

/// How many are open still, and how those ended that were not reset.
fn ends(all: &mut [Waiting]) -> (usize, Vec<End>) {
    let mut ends: Vec<_> = all
        .iter_mut()
        .map(|it| it.end(client::REFUSED_AFTER))
        .collect();
    let open = ends.iter().filter(|end| **end == End::Open).count();
    ends.retain(|end| !matches!(end, End::Open | End::Reset));
    (open, ends)
}

#[test]
fn of_two_hundred_half_open_handshakes_of_one_client_ten_ever_wait() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let mut server = world.serve(&["10.0.0.1:8080"]);
    let limiter = Limiter::start(&world, &flags("10", LONG));
    let address = server.address();
    let flow = |n: u16| super::flow(address, 4_000 + n);
    for n in 0..10 {
        tun.connect(flow(n), PATIENCE).expect("below the limit");
    }
    settle("connections", 10, || limiter.zone(ZONE).connections);
    let refused: Vec<_> = (10..210).map(flow).collect();
    let answered = tun.half_open(&refused, PATIENCE);
    assert_eq!(answered.len(), 200, "nobody waits yet");
    for (flow, isn) in &answered {
        tun.send(&flow.ack(*isn));
    }
    settle_waiting(&world, 10);
    // Whoever lost is told so.
    let mut reset = 0;
    let told = poll(PATIENCE, || {
        while let Some(segment) = tun.receive(client::REFUSED_AFTER) {
            reset += usize::from(segment.rst && segment.to.port() >= 4_010);
        }
        reset == 190
    });
    assert!(told, "{reset} of 190 were reset");
    assert_eq!(server.stat().accepted, 10);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.rejected), (10, 200));
    limiter.must_be_exact(ZONE);
}
