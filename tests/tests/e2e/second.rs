//! A second limiter where one is already.

use tests::{Limiter, World, programs::Programs};

use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

#[test]
fn a_second_limiter_on_the_same_cgroup_is_refused_and_the_first_unharmed() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let first = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 10);
    let control = world.path("second.sock");
    let failed =
        Limiter::try_start(&world, &control, &["--limit", "1"]).expect_err("the cgroup is taken");
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let path = world.cgroup.path().display().to_string();
    assert!(
        failed.stderr.contains(&path) && failed.stderr.contains("another limiter"),
        "it names the cgroup: {}",
        failed.stderr
    );
    assert!(!control.exists(), "it leaves no control socket behind");
    unharmed(first, &world, &server);
}

#[test]
fn a_second_limiter_on_the_same_control_socket_is_refused_and_the_first_unharmed() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let first = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 10);
    let elsewhere = World::new();
    let failed = Limiter::try_start(&elsewhere, &world.control(), &["--limit", "1"])
        .expect_err("the control socket is taken");
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let path = world.control().display().to_string();
    assert!(
        failed.stderr.contains(&path),
        "it names the socket: {}",
        failed.stderr
    );
    assert_eq!(Programs::attached(elsewhere.cgroup.path()), Programs::NONE);
    unharmed(first, &world, &server);
}

#[test]
fn limiters_on_different_cgroups_do_not_disturb_each_other() {
    let world = World::new();
    let elsewhere = World::new();
    let server = world.serve(&[SERVER]);
    let other = elsewhere.serve(&[SERVER]);
    let first = Limiter::start(&world, &LIMIT_10);
    let second = Limiter::start(&elsewhere, &["--limit", "3"]);
    let _ten = world.open_many(CLIENT, server.address(), 10);
    let _three = elsewhere.open_many(CLIENT, other.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    elsewhere.must_be_refused(CLIENT, other.address());
    assert_eq!(first.zone(ZONE).connections, 10);
    assert_eq!(second.zone(ZONE).connections, 3);
    drop(second);
    world.must_be_refused(CLIENT, server.address());
}

fn unharmed(mut first: Limiter, world: &World, server: &tests::Server) {
    assert!(first.runs());
    assert_eq!(
        Programs::attached(world.cgroup.path()),
        Programs::ONE_LIMITER
    );
    world.must_be_refused(CLIENT, server.address());
    let zone = first.zone(ZONE);
    assert_eq!((zone.connections, zone.rejected), (10, 1));
    assert_eq!(first.status().servers[0].limits[0].limit, 10);
}
