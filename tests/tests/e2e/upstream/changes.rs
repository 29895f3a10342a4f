//! The policy changes while connections are open.

use tests::{
    Limiter, World,
    outgoing::{Order, Outgoing},
};

use super::{active, all_given_back, at, backend, outside, server};
use crate::SERVER;

const OTHER: &str = "127.0.0.1:8081";

#[test]
fn max_conns_changes_and_the_count_stays() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &backend(2));
    let mut process = Outgoing::start(&world);
    assert_eq!(process.connect(3, at(SERVER)), (2, 1));
    limiter.reload(&world, &backend(4));
    assert_eq!(process.connect(3, at(SERVER)), (2, 1));
    limiter.reload(&world, &backend(1));
    assert_eq!(process.connect(1, at(SERVER)), (0, 1));
    let counted = server(&limiter, at(SERVER));
    assert_eq!(
        (counted.active, counted.passed, counted.rejected),
        (4, 4, 3)
    );
    limiter.reload(&world, &backend(0));
    assert_eq!(process.connect(5, at(SERVER)), (5, 0));
    assert_eq!(active(&limiter, at(SERVER)), 9);
    process.obey(Order::Close);
    all_given_back(&limiter, at(SERVER));
}

#[test]
fn what_was_open_before_the_upstream_counts_for_it() {
    let world = World::new();
    let _server = outside(&world, &[SERVER, OTHER]);
    let limiter = Limiter::start_config(&world, "");
    let mut process = Outgoing::start(&world);
    let mut outside = Outgoing::start_in(&world, None);
    assert_eq!(process.connect(3, at(SERVER)), (3, 0));
    assert_eq!(outside.connect(3, at(SERVER)), (3, 0));
    limiter.reload(&world, &backend(4));
    assert_eq!(active(&limiter, at(SERVER)), 3);
    assert_eq!(process.connect(2, at(SERVER)), (1, 1));
    // Moved to another server, gone, and back: connections of the time in between count, too.
    let other = format!("upstream backend {{ server {OTHER} max_conns=1; }}");
    limiter.reload(&world, &other);
    assert_eq!(process.connect(3, at(SERVER)), (3, 0));
    assert_eq!(process.connect(2, at(OTHER)), (1, 1));
    limiter.reload(&world, "");
    assert_eq!(process.connect(3, at(OTHER)), (3, 0));
    limiter.reload(&world, &(backend(8) + &other.replace("backend", "other")));
    assert_eq!(active(&limiter, at(SERVER)), 7);
    assert_eq!(active(&limiter, at(OTHER)), 4);
    assert_eq!(process.connect(2, at(SERVER)), (1, 1));
    process.obey(Order::Close);
    all_given_back(&limiter, at(SERVER));
    all_given_back(&limiter, at(OTHER));
}
