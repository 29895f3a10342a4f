//! Killed, stopped, or told to leave it to the kernel.

use std::{fs, path::Path};

use nix::sys::signal::Signal;
use tests::{Limiter, World, client, limiter::cli, programs::Programs, settle};

use super::LIMIT_3;
use crate::{CLIENT, PORT, SERVER, ZONE};

#[test]
fn with_the_daemon_dead_the_limit_holds_and_opens_and_closes_count() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_3);
    let mut open = world.open_many(CLIENT, server.address(), 2);
    limiter.end(Signal::SIGKILL);
    assert_eq!(
        Programs::attached(world.cgroup.path()),
        Programs::ONE_LIMITER
    );
    open.push(world.open(CLIENT, server.address()));
    world.must_be_refused(CLIENT, server.address());
    client::close(open.remove(0)).expect("close");
    client::reset(open.remove(0)).expect("reset");
    settle("open", 1, || world.open_at(PORT));
    open.extend(world.open_many(CLIENT, server.address(), 2));
    world.must_be_refused(CLIENT, server.address());

    let limiter = Limiter::start(&world, &LIMIT_3);
    limiter.must_say("took over");
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.passed, zone.rejected), (3, 5, 2));
    assert_eq!(
        Programs::attached(world.cgroup.path()),
        Programs::ONE_LIMITER
    );
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_clean_stop_leaves_nothing_and_with_keep_everything() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let pinned = |limiter: &Limiter| limiter.status().pinned.expect("a place");
    let limiter = Limiter::start(&world, &LIMIT_3);
    let place = pinned(&limiter);
    assert!(Path::new(&place).join("maps").exists());
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    assert!(said.contains("nothing is limited any more"), "{said}");
    assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
    assert!(!Path::new(&place).exists());

    let limiter = Limiter::start(&world, &[&LIMIT_3[..], &["--keep"]].concat());
    let open = world.open_many(CLIENT, server.address(), 3);
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    assert!(said.contains("the kernel goes on"), "{said}");
    world.must_be_refused(CLIENT, server.address());

    let detached = cli(&world.control(), &["detach"]);
    assert_eq!(detached.code, Some(0), "{}", detached.stderr);
    assert!(detached.stderr.contains("detached"), "{}", detached.stderr);
    settle("programs", Programs::NONE, || {
        Programs::attached(world.cgroup.path())
    });
    assert!(!Path::new(&place).exists());
    let _free = world.open_many(CLIENT, server.address(), 5);
    let again = cli(&world.control(), &["detach"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(
        again.stderr.contains("nothing is attached"),
        "{}",
        again.stderr
    );
    drop(open);
}

#[test]
fn a_daemon_that_runs_is_told_to_stop_and_keeps_nothing() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let mut limiter = Limiter::start(&world, &[&LIMIT_3[..], &["--keep"]].concat());
    let _open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    let place = limiter.status().pinned.expect("a bpf filesystem");
    let output = limiter.cli(&["detach"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("detached"), "{}", output.stderr);
    settle("runs", false, || limiter.runs());
    assert!(!Path::new(&place).exists());
    limiter.must_say("nothing is limited any more");
    let _free = world.open_many(CLIENT, server.address(), 5);
}

#[test]
fn a_daemon_that_does_not_answer_is_not_detached_behind_its_back() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_3);
    fs::remove_file(world.control()).expect("remove the socket");
    let output = limiter.cli(&["detach"]);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    for said in ["its daemon runs", "hint: name its control socket"] {
        assert!(output.stderr.contains(said), "{}", output.stderr);
    }
    let _open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
}
