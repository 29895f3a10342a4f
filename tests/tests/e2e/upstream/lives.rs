//! One daemon after another.

use nix::sys::signal::Signal;
use tests::{
    Limiter, World,
    outgoing::{Order, Outgoing},
};

use super::{active, all_given_back, at, backend, outside, server};
use crate::SERVER;

#[test]
fn what_is_open_before_the_start_is_adopted() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let mut process = Outgoing::start(&world);
    assert_eq!(process.connect(3, at(SERVER)), (3, 0));
    let limiter = Limiter::start_config(&world, &backend(4));
    assert_eq!(active(&limiter, at(SERVER)), 3);
    assert_eq!(process.connect(2, at(SERVER)), (1, 1));
    process.obey(Order::Close);
    all_given_back(&limiter, at(SERVER));
}

#[test]
fn a_kill_loses_nothing_and_the_limit_holds_without_a_daemon() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &backend(4));
    let (mut one, mut other) = (Outgoing::start(&world), Outgoing::start(&world));
    assert_eq!(one.connect(2, at(SERVER)), (2, 0));
    assert_eq!(other.connect(1, at(SERVER)), (1, 0));
    limiter.end(Signal::SIGKILL);
    assert_eq!(one.connect(2, at(SERVER)), (1, 1));
    other.obey(Order::Close);
    assert_eq!(one.connect(2, at(SERVER)), (1, 1));
    let limiter = Limiter::start_config(&world, &backend(4));
    let counted = server(&limiter, at(SERVER));
    assert_eq!(
        (counted.active, counted.passed, counted.rejected),
        (4, 5, 2)
    );
    assert_eq!(other.connect(1, at(SERVER)), (0, 1));
    one.obey(Order::Close);
    all_given_back(&limiter, at(SERVER));
    assert_eq!(other.connect(5, at(SERVER)), (4, 1));
}

#[test]
fn without_upstreams_nothing_is_attached_for_them() {
    let world = World::new();
    let limiter = Limiter::start_config(&world, "");
    let programs = |limiter: &Limiter| limiter.status().attached[0].programs.len();
    assert_eq!(programs(&limiter), 2);
    limiter.reload(&world, &backend(1));
    assert_eq!(programs(&limiter), 5);
    limiter.reload(&world, "");
    // What gives slots back stays.
    assert_eq!(programs(&limiter), 3);
}
