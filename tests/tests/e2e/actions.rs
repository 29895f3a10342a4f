//! What becomes of a refused attempt: `limit_conn_action`.

mod churn;
mod crowd;
mod excess;
mod flood;
mod gloo;
mod handshakes;
mod in_scope;
mod namespaces;
mod neighbours;
mod one_namespace;
mod own_socket;
mod places;
mod reset;
mod several;
mod silent;
mod switched;
mod waiting_ends;

use std::net::SocketAddr;

use tests::{Limiter, World, packet::Flow, settle};

use crate::{CLIENT, ZONE};

/// Longer than any test: what waits that long is still there when the test looks.
const LONG: &str = "close delay=1h";

/// Flags for port 8080, `limit` connections per client address and this action.
fn flags<'a>(limit: &'a str, action: &'a str) -> Vec<&'a str> {
    let flags = ["--listen", "8080", "--limit", limit, "--action"];
    flags.into_iter().chain(action.split(' ')).collect()
}

/// An attempt of one client, 10.1.1.1, behind a TUN device.
fn flow(server: SocketAddr, port: u16) -> Flow {
    Flow {
        client: ([10, 1, 1, 1], port).into(),
        server,
        isn: u32::from(port) << 8,
    }
}

/// Waits until so many connections of port 8080 wait to be closed.
#[track_caller]
fn settle_waiting(world: &World, count: usize) {
    settle("waiting, and held", (count, count), || {
        world.waiting_at(crate::PORT)
    });
}

/// A connection of [`CLIENT`] must be answered with a RST and counted once.
#[track_caller]
fn must_be_reset_and_counted(world: &World, limiter: &Limiter, to: SocketAddr) {
    let before = limiter.zone(ZONE);
    world.must_be_reset(CLIENT, to);
    let after = limiter.zone(ZONE);
    assert_eq!(
        (after.rejected, after.syn_retransmits, after.connections),
        (
            before.rejected + 1,
            before.syn_retransmits,
            before.connections
        )
    );
}
