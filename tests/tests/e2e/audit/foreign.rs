//! Somebody else's program makes the kernel tell of no close any more.

use tests::{Limiter, World, bpf, settle};

use super::{audit, audit_zone};
use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

/// BPF_PROG_TYPE_SOCK_OPS
const SOCK_OPS: u32 = 13;
/// BPF_CGROUP_SOCK_OPS
const CGROUP_SOCK_OPS: u32 = 3;

/// `bpf_sock_ops_cb_flags_set(ctx, 0); return 1;`
const FORGETS_CALLBACKS: [u64; 4] = [
    0x0000_0000_0000_02b7, // r2 = 0
    0x0000_003b_0000_0085, // call 59
    0x0000_0001_0000_00b7, // r0 = 1
    0x0000_0000_0000_0095, // exit
];

#[test]
fn slots_that_are_never_given_back_are_found() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let foreign = bpf::load(SOCK_OPS, CGROUP_SOCK_OPS, "forgets", &FORGETS_CALLBACKS);
    let foreign = foreign.expect("the verifier takes it");
    let cgroup = std::fs::File::open(world.cgroup.path()).expect("the cgroup");
    let link = bpf::Link::new(&foreign, bpf::number(&cgroup), CGROUP_SOCK_OPS, 0);
    let link = link.expect("a place beside the limiter");
    let leaks = world.open_many(CLIENT, server.address(), 10);
    drop(leaks);
    drop(link);
    // Nobody is told that they are closed: without the audit their client would be locked out.
    settle("open connections", 0, || {
        world.open_at(server.address().port())
    });
    assert_eq!(limiter.zone(ZONE).connections, 10);
    world.must_be_refused(CLIENT, server.address());
    audit(&limiter);
    audit(&limiter);
    let open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    let zone = audit_zone(&limiter);
    assert_eq!((zone.connections, zone.recount), (10, 10));
    assert_eq!(limiter.zone(ZONE).drift, 10);
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    settle("keys", 0, || limiter.zone(ZONE).keys);
}
