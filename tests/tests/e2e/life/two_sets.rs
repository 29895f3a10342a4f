//! Two sets of one instance, both whole, as no daemon leaves them. An interface would have room for one only.

use std::fs;

use nix::sys::signal::Signal;
use tests::{Limiter, World, programs::Programs, settle};

use super::{LIMIT_3, beside, place};
use crate::{CLIENT, SERVER, ZONE};

#[test]
fn a_second_set_is_given_up_while_the_first_is_whole() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_3);
    let first = place(&limiter);
    let open = world.open_many(CLIENT, server.address(), 3);
    limiter.end(Signal::SIGKILL);
    // Another instance at the same cgroup, which is then said to be the second set.
    let name = format!("{}-2", first.file_name().expect("a name").to_string_lossy());
    let flags = [&LIMIT_3[..], &["--instance", &name]].concat();
    let limiter = Limiter::start(&world, &flags);
    limiter.must_say("which has no daemon any more");
    let second = place(&limiter);
    assert_ne!(first, second);
    limiter.end(Signal::SIGKILL);
    fs::rename(&second, beside(&first)).expect("rename");
    assert_eq!(Programs::attached(world.cgroup.path()).ingress, 2);
    let limiter = Limiter::start(&world, &LIMIT_3);
    limiter.must_say("took over");
    assert_eq!(
        Programs::attached(world.cgroup.path()),
        Programs::ONE_LIMITER
    );
    assert!(!beside(&first).exists());
    assert_eq!(limiter.zone(ZONE).connections, 3);
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
}
