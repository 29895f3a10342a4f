//! MPTCP: a connection of several paths is as many connections of TCP, each from an address of its
//! own, and each counts for that address (RFC 8684 §3.2: a path begins with a handshake).

use std::net::Ipv4Addr;

use tests::{
    client::{self, REFUSED_AFTER},
    multipath,
    netns::NetNs,
    settle,
    settle::PATIENCE,
    veth::Veth,
};

use super::{Stage, must_echo};
use crate::ZONE;

/// A stage that takes several paths, and clients on another host. None if the kernel has no MPTCP.
fn stage() -> Option<(Stage, Veth)> {
    if !multipath::is_there(&NetNs::new()) {
        eprintln!("skipped: this kernel has no MPTCP (CONFIG_MPTCP)");
        return None;
    }
    let stage = Stage::with(&[], &["--multipath"], super::CONFIG);
    let veth = Veth::new(&stage.world.netns);
    multipath::allow_paths(&stage.world.netns);
    Some((stage, veth))
}

/// One of the clients' addresses.
fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 0, number)
}

fn connections(stage: &Stage, from: Ipv4Addr) -> u32 {
    stage.limiter.connections_of(ZONE, from.into())
}

#[test]
fn a_path_counts_for_its_own_address_and_is_not_made_beyond_the_limit_of_that() {
    let Some((stage, veth)) = stage() else { return };
    let to = stage.server.address();
    let [first, full, another] = [5, 6, 7].map(address);
    let plain = client::open_many(veth.clients(), full.into(), to, 10);
    multipath::take_paths(veth.clients(), &[full, another]);
    let open = || client::open_multipath(first.into(), to, PATIENCE);
    let connection = veth.clients().run(open).expect("connect");
    settle("another path", 1, || connections(&stage, another));
    // The kernel may try again.
    settle("a path is refused", true, || {
        stage.limiter.zone(ZONE).rejected > 0
    });
    assert_eq!(
        (connections(&stage, first), connections(&stage, full)),
        (1, 10)
    );
    must_echo(&connection);
    stage.others_go_on();
    stage.must_be_exact();
    // All paths end together.
    drop(connection);
    settle("connections", 11, || stage.limiter.zone(ZONE).connections);
    drop(plain);
    stage.ends();
}

#[test]
fn who_has_nine_addresses_has_nine_limits_and_no_more() {
    const MOST_PATHS: u8 = 8;
    let Some((stage, veth)) = stage() else { return };
    let to = stage.server.address();
    let further: Vec<_> = (6..6 + MOST_PATHS).map(address).collect();
    multipath::take_paths(veth.clients(), &further);
    let open = |patience| {
        let open = || client::open_multipath(address(5).into(), to, patience);
        veth.clients().run(open)
    };
    let held: Vec<_> = (0..10).map(|_| open(PATIENCE).expect("connect")).collect();
    for _ in 0..2 {
        open(REFUSED_AFTER).expect_err("beyond the limit of its first address");
    }
    let all = 10 * (1 + u64::from(MOST_PATHS)) + 1;
    settle("connections", all, || stage.limiter.zone(ZONE).connections);
    stage.must_be_exact();
    held.iter().for_each(must_echo);
    stage.others_go_on();
    stage.ends();
}
