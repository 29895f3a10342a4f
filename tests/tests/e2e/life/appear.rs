//! Cgroups that come and go while the limiter runs.

use nix::sys::signal::Signal;
use tests::{
    Limiter, Server, World, cgroup, cgroup::Cgroup, netns::NetNs, programs::Programs, settle,
};

use super::{LIMIT_3, cgroups, is_attached, is_missing, must_be_attached};
use crate::{CLIENT, SERVER, ZONE};

#[test]
fn a_cgroup_that_appears_is_attached_and_what_is_open_in_it_counts() {
    let world = World::new();
    world.cgroup.remove();
    let limiter = Limiter::start(&world, &LIMIT_3);
    let path = world.cgroup.path().display();
    limiter.must_say(&format!("waiting for cgroup {path}: no such cgroup"));
    assert_eq!(cgroups(&limiter), [format!("{path}: no such cgroup")]);
    let text = limiter.cli_ok(&["status"]);
    let line = format!("waiting for cgroup {path}: no such cgroup\n");
    assert!(text.contains(&line), "{text}");

    // It sees all of this at once.
    limiter.signal(Signal::SIGSTOP);
    world.cgroup.make();
    let server = world.serve(&[SERVER]);
    let mut open = world.open_many(CLIENT, server.address(), 2);
    limiter.signal(Signal::SIGCONT);
    is_attached(&limiter, &world.cgroup);
    assert_eq!(limiter.zone(ZONE).connections, 2);
    limiter.must_say(&format!("attached to cgroup {path}: limiter_count"));
    limiter.must_say("adopted 2 connections");
    open.push(world.open(CLIENT, server.address()));
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
    let said = limiter.stderr();
    assert!(!said.contains("not counted"), "{said}");
}

#[test]
fn attempts_are_answered_in_a_cgroup_that_has_appeared() {
    let world = World::new();
    world.cgroup.remove();
    let limiter = Limiter::start(&world, &[&LIMIT_3[..], &["--action", "reset"]].concat());
    limiter.signal(Signal::SIGSTOP);
    world.cgroup.make();
    let server = world.serve(&[SERVER]);
    let _open = world.open_many(CLIENT, server.address(), 3);
    limiter.signal(Signal::SIGCONT);
    is_attached(&limiter, &world.cgroup);
    world.must_be_reset(CLIENT, server.address());
    limiter.cli_ok(&["action", "close", "delay=0"]);
    world.must_wait(CLIENT, server.address()).must_be_closed();
}

#[test]
fn while_one_is_waited_for_the_others_are_limited() {
    let world = World::new();
    let (other, outside) = (Cgroup::missing(&cgroup::root()), Cgroup::new());
    let path = other.path().display().to_string();
    let server = world.serve(&["127.0.0.1:8081"]);
    // For all that the limiter knows, this one will be where it is waited for.
    let _elsewhere = Server::start_in(&world, Some(&outside), &[SERVER], &[]);
    let limiter = Limiter::start(
        &world,
        &["--listen", "8080-8082", "--limit", "3", "--cgroup", &path],
    );
    assert_eq!(
        cgroups(&limiter),
        [
            format!(
                "{}: limiter_count limiter_enforce",
                world.cgroup.path().display()
            ),
            format!("{path}: no such cgroup"),
        ]
    );
    let mut open = world.open_many(CLIENT, server.address(), 2);
    other.make();
    is_attached(&limiter, &other);
    let second = Server::start_in(&world, Some(&other), &["127.0.0.1:8082"], &[]);
    open.push(world.open(CLIENT, second.address()));
    world.must_be_refused(CLIENT, server.address());
    world.must_be_refused(CLIENT, second.address());
    assert_eq!(limiter.zone(ZONE).connections, 3);
    // Nothing was open there.
    let said = limiter.stderr();
    for nonsense in ["listens outside", "adopted", "not counted"] {
        assert!(!said.contains(nonsense), "{said}");
    }
}

#[test]
fn directories_on_the_way_may_be_missing_too() {
    let outer = Cgroup::missing(&cgroup::root());
    let middle = Cgroup::missing(outer.path());
    let mut world = World::new();
    world.cgroup = Cgroup::missing(middle.path());
    let limiter = Limiter::start(&world, &LIMIT_3);
    let way = [&outer, &middle, &world.cgroup];
    for _ in 0..5 {
        is_missing(&limiter, &world.cgroup);
        way.iter().for_each(|cgroup| cgroup.make());
        must_be_attached(&limiter, &world);
        way.iter().rev().for_each(|cgroup| cgroup.remove());
    }
    is_missing(&limiter, &world.cgroup);
    outer.make();
    is_missing(&limiter, &world.cgroup);
    middle.make();
    world.cgroup.make();
    must_be_attached(&limiter, &world);
}

#[test]
fn one_that_flaps_is_attached_in_the_end() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_3);
    for _ in 0..100 {
        world.cgroup.remove();
        world.cgroup.make();
    }
    must_be_attached(&limiter, &world);
    for _ in 0..100 {
        world.cgroup.remove();
        world.cgroup.make();
    }
    world.cgroup.remove();
    is_missing(&limiter, &world.cgroup);
    settle("links", 0, || super::links(&limiter).len());
    world.cgroup.make();
    must_be_attached(&limiter, &world);
    limiter.must_be_exact(ZONE);
}

#[test]
fn of_two_that_wait_for_the_same_one_gets_it_and_then_the_other() {
    let world = World::new();
    world.cgroup.remove();
    let first = Limiter::start(&world, &LIMIT_3);
    // It is about cgroups only: an interface would be the first one's.
    let (elsewhere, command) = (NetNs::new(), Limiter::command(&world, &LIMIT_3));
    let second = Limiter::try_command(&elsewhere, &world.path("second.sock"), command)
        .unwrap_or_else(|failed| panic!("{}", failed.stderr));
    first.signal(Signal::SIGSTOP);
    world.cgroup.make();
    is_attached(&second, &world.cgroup);
    first.signal(Signal::SIGCONT);
    let taken = format!(
        "{}: another limiter (process {}) is attached to it already",
        world.cgroup.path().display(),
        second.id()
    );
    settle("waiting", vec![taken], || cgroups(&first));
    let (status, said) = second.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    must_be_attached(&first, &world);
    assert_eq!(
        Programs::attached(world.cgroup.path()),
        Programs::ONE_LIMITER
    );
}

#[test]
fn a_reload_leaves_it_waiting_and_cannot_name_another_one() {
    const LIMITS: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 3;";
    let world = World::new();
    world.cgroup.remove();
    let limiter = Limiter::start_config(&world, LIMITS);
    limiter.reload(&world, &LIMITS.replace("addr 3", "addr 2"));
    let changed = format!("attach cgroup {}; {LIMITS}", cgroup::root().display());
    world.write("limiter.conf", &changed);
    let refused = limiter.cli(&["reload"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("next start"), "{}", refused.stderr);
    is_missing(&limiter, &world.cgroup);
    world.cgroup.make();
    is_attached(&limiter, &world.cgroup);
    limiter.reload(&world, LIMITS);
    must_be_attached(&limiter, &world);
    world.cgroup.remove();
    is_missing(&limiter, &world.cgroup);
    limiter.reload(&world, LIMITS);
}
