//! Clients that do not answer when they are closed.

use tests::{Limiter, World, packet::Segment, settle, settle::PATIENCE, tun::Tun};

use super::{flags, flow, settle_waiting};
use crate::{PORT, ZONE};

#[test]
fn a_client_that_does_not_answer_the_end_is_given_up_and_its_place_is_free() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let server = world.serve(&["10.0.0.1:8080"]);
    let limiter = Limiter::start(&world, &flags("1", "close delay=100ms"));
    let flow = |port: u16| flow(server.address(), port);
    tun.connect(flow(4_000), PATIENCE).expect("below the limit");
    settle("connections", 1, || limiter.zone(ZONE).connections);
    for silent in 4_001..=4_002 {
        tun.connect(flow(silent), PATIENCE).expect("accepted");
        let fin = fin_to(&tun, silent);
        assert!(!fin.rst);
        settle("waiting", (0, 0), || world.waiting_at(PORT));
    }
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_client_that_never_closes_its_side_holds_no_place() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let server = world.serve(&["10.0.0.1:8080"]);
    let limiter = Limiter::start(&world, &flags("1", "close delay=100ms"));
    let flow = |port: u16| flow(server.address(), port);
    tun.connect(flow(4_000), PATIENCE).expect("below the limit");
    settle("connections", 1, || limiter.zone(ZONE).connections);
    for port in 4_001..=4_005 {
        let isn = tun.connect(flow(port), PATIENCE).expect("accepted");
        fin_to(&tun, port);
        // It acknowledges the end of the other side, and says nothing of its own.
        tun.send(&flow(port).ack(isn.wrapping_add(1)));
        settle_waiting(&world, 0);
    }
    assert_eq!(limiter.zone(ZONE).rejected, 5);
}

fn fin_to(tun: &Tun, port: u16) -> Segment {
    std::iter::from_fn(|| tun.receive(PATIENCE))
        .find(|segment| segment.to.port() == port && segment.fin)
        .expect("it is closed after its delay")
}
