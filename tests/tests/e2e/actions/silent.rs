//! Clients that do not answer when they are closed.

use tests::{
    Limiter, Server, World,
    packet::{Flow, Segment},
    settle,
    settle::PATIENCE,
    tun::Tun,
};

use super::{flags, flow, settle_waiting};
use crate::{PORT, ZONE};

#[test]
fn a_client_that_does_not_answer_the_end_is_given_up_and_its_place_is_free() {
    let scene = Scene::new();
    for silent in 4_001..=4_002 {
        scene.connect(silent);
        let fin = scene.fin_to(silent);
        assert!(!fin.rst);
        settle("waiting", (0, 0), || scene.world.waiting_at(PORT));
    }
    scene.limiter.must_be_exact(ZONE);
}

#[test]
fn a_client_that_never_closes_its_side_holds_no_place() {
    let scene = Scene::new();
    for port in 4_001..=4_005 {
        let isn = scene.connect(port);
        scene.fin_to(port);
        // It acknowledges the end of the other side, and says nothing of its own.
        let ack = scene.flow(port).ack(isn.wrapping_add(1));
        scene.tun.send(&ack);
        settle_waiting(&scene.world, 0);
    }
    assert_eq!(scene.limiter.zone(ZONE).rejected, 5);
}

/// A client at its limit of one, behind a TUN device; what it opens more is closed soon.
struct Scene {
    limiter: Limiter,
    server: Server,
    tun: Tun,
    world: World,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
        let server = world.serve(&["10.0.0.1:8080"]);
        let limiter = Limiter::start(&world, &flags("1", "close delay=100ms"));
        let scene = Self {
            limiter,
            server,
            tun,
            world,
        };
        scene.connect(4_000);
        settle("connections", 1, || scene.limiter.zone(ZONE).connections);
        scene
    }

    fn flow(&self, port: u16) -> Flow {
        flow(self.server.address(), port)
    }

    /// Opens a connection and gives the sequence number that the other side begins with.
    fn connect(&self, port: u16) -> u32 {
        self.tun
            .connect(self.flow(port), PATIENCE)
            .expect("accepted")
    }

    fn fin_to(&self, port: u16) -> Segment {
        std::iter::from_fn(|| self.tun.receive(PATIENCE))
            .find(|segment| segment.to.port() == port && segment.fin)
            .expect("it is closed after its delay")
    }
}
