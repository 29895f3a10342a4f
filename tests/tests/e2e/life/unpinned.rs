//! Where nothing can be pinned, and what commands say where something is.

use std::path::Path;

use nix::sys::signal::Signal;
use tests::{
    Limiter, World, limiter::cli, mounts, programs::Programs, settle, settle::PATIENCE,
    settle::poll,
};

use crate::{CLIENT, SERVER, ZONE};

const LIMIT_3: [&str; 4] = ["--listen", "8080", "--limit", "3"];
/// The first limiter has mounted it, if nobody else had.
const BPF: &str = "/sys/fs/bpf";

/// A `limiter run` that cannot write to the bpf filesystem.
fn start_read_only(world: &World) -> Result<Limiter, tests::limiter::Failed> {
    let mut command = Limiter::command(world, &LIMIT_3);
    mounts::read_only(&mut command, Path::new(BPF));
    Limiter::try_command(&world.netns, &world.control(), command)
}

#[test]
fn where_bpffs_is_read_only_the_limiter_warns_and_works_until_it_ends() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    Limiter::start(&world, &LIMIT_3).end(Signal::SIGTERM);
    let limiter = start_read_only(&world).expect("it works");
    limiter.must_say("Read-only file system: nothing is limited any more when the daemon ends");
    assert_eq!(limiter.status().pinned, None);
    let _open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(limiter.zone(ZONE).connections, 3);
    limiter.end(Signal::SIGKILL);
    settle("programs", Programs::NONE, || {
        Programs::attached(world.cgroup.path())
    });
}

#[test]
fn what_is_pinned_where_nothing_can_be_changed_goes_on() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_3);
    let _open = world.open_many(CLIENT, server.address(), 3);
    limiter.end(Signal::SIGKILL);
    let failed = start_read_only(&world).expect_err("it cannot take over");
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    for said in ["Read-only file system", "hint: mount it writable"] {
        assert!(failed.stderr.contains(said), "{}", failed.stderr);
    }
    world.must_be_refused(CLIENT, server.address());
    let limiter = Limiter::start(&world, &LIMIT_3);
    limiter.must_say("took over");
}

#[test]
fn commands_that_find_no_daemon_say_what_goes_on_without_it() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_3);
    let pinned = limiter.status().pinned.expect("a place");
    let instance = Path::new(&pinned).file_name().expect("a name");
    let instance = instance.to_str().expect("a name").to_owned();
    limiter.end(Signal::SIGKILL);
    let status = cli(&world.control(), &["status"]);
    assert_eq!(status.code, Some(3), "{}", status.stderr);
    let hint = format!("hint: instance {instance} goes on counting and refusing");
    assert!(status.stderr.contains(&hint), "{}", status.stderr);
    // Nothing of another name, but this one.
    let other = World::new();
    let detached = cli(&other.control(), &["detach"]);
    assert_eq!(detached.code, Some(0), "{}", detached.stderr);
    for said in ["nothing is attached", &instance] {
        assert!(detached.stderr.contains(said), "{}", detached.stderr);
    }
    let detached = cli(&world.control(), &["detach"]);
    assert_eq!(detached.code, Some(0), "{}", detached.stderr);
    let status = cli(&world.control(), &["status"]);
    assert!(!status.stderr.contains("goes on"), "{}", status.stderr);
    let gone = poll(PATIENCE, || !Path::new(&pinned).exists());
    assert!(gone, "{pinned}");
}
