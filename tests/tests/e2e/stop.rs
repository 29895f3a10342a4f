//! A clean stop detaches everything and says what was seen.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use tests::{Limiter, World, programs::Programs};

use crate::{CLIENT, LIMIT_10, SERVER};

#[test]
fn sigterm_and_sigint_detach_everything_and_leave_connections_alone() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let world = World::new();
        let mut server = world.serve(&[SERVER]);
        let limiter = Limiter::start(&world, &LIMIT_10);
        let control = limiter.control().to_owned();
        let mode = control.metadata().expect("a control socket").permissions();
        assert_eq!(mode.mode() & 0o777, 0o660);
        assert_eq!(
            Programs::attached(world.cgroup.path()),
            Programs::ONE_LIMITER
        );
        let open = world.open_many(CLIENT, server.address(), 10);
        world.must_be_refused(CLIENT, server.address());

        let (status, said) = limiter.end(signal);
        assert_eq!(status.code(), Some(0), "{said}");
        let after_ready = said.split_once("ready").expect("it was ready").1;
        assert!(
            after_ready.contains("10"),
            "it says what it saw, ten passed: {after_ready}"
        );
        assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
        assert!(!control.exists(), "the control socket is removed");
        let _more = world.open(CLIENT, server.address());
        assert_eq!(server.stat().open, 11);
        drop(open);
    }
}

#[test]
fn a_stop_with_subscribers_and_idle_clients_connected_is_clean_too() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _events = limiter.events();
    let _idle = tests::http::connect(limiter.control()).expect("connect");
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0), "{said}");
}
