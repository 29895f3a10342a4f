//! The socket that refused attempts are brought to is nobody's server.

use tests::{Limiter, World, settle, sockdiag};

use super::{LONG, flags};
use crate::{CLIENT, SERVER, ZONE};

#[test]
fn who_connects_to_it_is_reset_and_not_counted_even_if_every_port_is_limited() {
    for action in ["reset", LONG] {
        let world = World::new();
        let server = world.serve(&[SERVER]);
        let limiter = Limiter::start(&world, &flags("1", action)[2..]);
        let port = own_port(&world);
        let own = [
            ("127.0.0.5", format!("127.0.0.1:{port}")),
            ("::1", format!("[::1]:{port}")),
        ]
        .map(|(from, to)| (from, to.parse().expect("an address")));
        let mut open = Vec::new();
        for _ in ["below the limit", "at it"] {
            for (from, to) in own {
                world.must_be_reset(from, to);
            }
            let zone = limiter.zone(ZONE);
            assert_eq!(
                (zone.passed, zone.rejected, zone.syn_retransmits),
                (open.len() as u64, 0, 0),
                "{action}"
            );
            if open.is_empty() {
                open.push(world.open(CLIENT, server.address()));
            }
        }
        assert_eq!(limiter.status().events.sent, 0);
        drop(open);
        settle("connections", 0, || limiter.zone(ZONE).connections);
    }
}

/// The port of the only listener that is not in the cgroup.
fn own_port(world: &World) -> u16 {
    let ours = Some(world.cgroup.id());
    let ports: Vec<_> = sockdiag::dump(&world.netns)
        .into_iter()
        .filter(|it| it.state == sockdiag::state::LISTEN && it.cgroup != ours)
        .map(|it| it.local.port())
        .collect();
    let [port] = ports[..] else {
        panic!("one socket of the limiter is expected: {ports:?}");
    };
    port
}
