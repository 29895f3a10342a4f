//! A lost race at establishment, with every action. See [`crate::burst`].

use std::{sync::Barrier, thread, thread::available_parallelism};

use tests::{Limiter, World, packet::Flow, settle, settle::PATIENCE, tun::Tun};

use super::{LONG, flags, flow};
use crate::{PORT, ZONE};

#[test]
fn handshakes_that_are_completed_at_once_settle_at_the_limit_whatever_the_action() {
    let _heavy = crate::heavy();
    for action in ["reset", LONG] {
        let world = World::new();
        let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
        let mut server = world.serve(&["10.0.0.1:8080"]);
        let limiter = Limiter::start(&world, &flags("10", action));
        let flows: Vec<_> = (4_000..4_200)
            .map(|port| flow(server.address(), port))
            .collect();
        let answered = tun.half_open(&flows, PATIENCE);
        assert_eq!(answered.len(), 200, "a SYN alone takes no slot");
        complete_at_once(&tun, &answered);

        settle("connections", 10, || limiter.zone(ZONE).connections);
        settle("open", 10, || world.open_at(PORT));
        let zone = limiter.zone(ZONE);
        assert_eq!((zone.passed, zone.rejected), (10, 190), "{action}");
        settle("accepted", 10 + zone.excess, || server.stat().accepted);
        assert_eq!(world.waiting_at(PORT), (0, 0), "refused at the server");
        limiter.must_be_exact(ZONE);
        let said = limiter.stderr();
        assert!(!said.contains("close connections"), "{said}");
    }
}

fn complete_at_once(tun: &Tun, answered: &[(Flow, u32)]) {
    let threads = available_parallelism()
        .expect("number of CPUs")
        .get()
        .max(2);
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        for thread in 0..threads {
            let start = &start;
            scope.spawn(move || {
                let share = answered.iter().skip(thread).step_by(threads);
                let packets: Vec<_> = share.map(|(flow, isn)| flow.ack(*isn)).collect();
                start.wait();
                packets.iter().for_each(|packet| tun.send(packet));
            });
        }
    });
}
