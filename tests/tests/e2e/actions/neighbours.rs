//! Two limiters in one network namespace.

use nix::sys::signal::Signal;
use tests::{Limiter, Server, World, cgroup::Cgroup, limiter, process::place, programs, settle};

use super::{LONG, flags, must_be_reset_and_counted};
use crate::{CLIENT, SERVER, ZONE};

#[test]
fn two_limiters_in_one_namespace_refuse_what_is_theirs() {
    const OTHER: &str = "127.0.0.1:8081";
    let world = World::new();
    let cgroup = Cgroup::new();
    let server = world.serve(&[SERVER]);
    let mut other = Server::start_in(&world, Some(&cgroup), &[OTHER], &[]);
    let first = Limiter::start(&world, &flags("1", "reset")[2..]);
    let mut command = limiter::command();
    command.args(["run", "--limit", "1", "--action"]);
    command
        .args(LONG.split(' '))
        .arg("--cgroup")
        .arg(cgroup.path());
    let second = Limiter::try_command(&world.netns, &world.path("second.sock"), command)
        .expect("becomes ready");
    assert_eq!(programs::at_lookup(&world.netns), 2);

    let _one = world.open(CLIENT, server.address());
    let _other = world.open(CLIENT, other.address());
    for _ in 0..2 {
        must_be_reset_and_counted(&world, &first, server.address());
    }
    let _waiting = world.must_wait(CLIENT, other.address());
    world.must_be_refused(CLIENT, other.address());
    for (limiter, rejected) in [(&first, 2), (&second, 2)] {
        let zone = limiter.zone(ZONE);
        assert_eq!((zone.connections, zone.rejected), (1, rejected));
        limiter.must_be_exact(ZONE);
    }
    second.end(Signal::SIGTERM);
    settle("programs at sk_lookup", 1, || {
        programs::at_lookup(&world.netns)
    });
    let _free = world.open_many(CLIENT, other.address(), 2);
    must_be_reset_and_counted(&world, &first, server.address());
    assert_eq!(other.stat().accepted, 3);
}

/// What waits takes descriptors: there is a bound over all keys.
#[test]
fn no_more_wait_than_half_of_the_descriptors() {
    const DESCRIPTORS: usize = 256;
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let mut command = std::process::Command::new("sh");
    let run = Limiter::command(&world, &flags("1", LONG));
    command
        .arg("-c")
        .arg(format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\""))
        .arg(run.get_program())
        .args(run.get_args());
    place(&mut command, None, None);
    let limiter =
        Limiter::try_command(&world.netns, &world.control(), command).expect("becomes ready");
    let client = |n: usize| format!("127.1.1.{n}");
    let _open: Vec<_> = (1..=150)
        .map(|n| world.open(&client(n), server.address()))
        .collect();
    let mut waiting: Vec<_> = (1..=DESCRIPTORS / 2)
        .map(|n| world.must_wait(&client(n), server.address()))
        .collect();
    super::settle_waiting(&world, DESCRIPTORS / 2);
    world.must_be_refused(&client(150), server.address());
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.rejected), (150, 129));
    drop(waiting.pop());
    super::settle_waiting(&world, DESCRIPTORS / 2 - 1);
    waiting.push(world.must_wait(&client(150), server.address()));
    world.must_be_refused(&client(149), server.address());
    drop(waiting);
    super::settle_waiting(&world, 0);
    assert_eq!(server.stat().accepted, 150);
    limiter.must_be_exact(ZONE);
}
