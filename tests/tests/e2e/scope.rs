//! What is limited is what listens in the cgroup.

use tests::{Limiter, Server, World, cgroup::Cgroup, netns::NetNs, settle};

use crate::{CLIENT, LIMIT_10, PORT, SERVER, ZONE};

#[test]
fn a_listener_outside_of_the_cgroup_is_not_limited_and_start_says_so() {
    let world = World::new();
    let elsewhere = Cgroup::new();
    let server = Server::start_in(&world, Some(&elsewhere), &[SERVER], &[]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 12);
    assert_eq!(limiter.zone(ZONE).connections, 0);
    limiter.must_say(&format!(":{PORT} listens outside"));
}

#[test]
fn a_listener_in_a_child_of_the_cgroup_is_limited() {
    let world = World::new();
    let child = Cgroup::inside(&world.cgroup);
    let server = Server::start_in(&world, Some(&child), &[SERVER], &[]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(limiter.zone(ZONE).connections, 10);
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
}

#[test]
fn a_limiter_limits_servers_in_other_network_namespaces() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_elsewhere(&world, &NetNs::new(), &LIMIT_10);
    let open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(limiter.zone(ZONE).connections, 10);
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}
