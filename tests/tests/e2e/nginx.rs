//! A server that nobody here wrote.

use std::io::ErrorKind;

use nix::sys::signal::Signal;
use tests::{
    Limiter, World,
    client::REFUSED_AFTER,
    nginx::{Nginx, get_again},
    settle,
    settle::PATIENCE,
    world::address,
};

use crate::{CLIENT, LIMIT_10, PORT, SERVER, ZONE};

#[test]
fn nginx_answers_ten_connections_that_are_kept_alive_and_not_the_eleventh() {
    let world = World::new();
    let nginx = Nginx::start(&world, SERVER.parse().expect("literal"));
    settle("open", 0, || world.open_at(PORT));
    let limiter = Limiter::start(&world, &LIMIT_10);
    let get = |patience| nginx.get(&world, address(CLIENT), patience);
    let mut kept: Vec<_> = (0..10).map(|_| get(PATIENCE).expect("an answer")).collect();
    let refused = get(REFUSED_AFTER).expect_err("beyond the limit");
    assert_eq!(refused.kind(), ErrorKind::TimedOut);
    for stream in &mut kept {
        get_again(stream).expect("an answer");
    }
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.passed, zone.rejected), (10, 10, 1));

    drop(kept.pop());
    settle("connections", 9, || limiter.zone(ZONE).connections);
    kept.push(get(PATIENCE).expect("an answer"));
    drop(kept);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn nginx_reloads_under_the_limiter_and_its_new_workers_are_limited_too() {
    let world = World::new();
    let nginx = Nginx::start(&world, SERVER.parse().expect("literal"));
    settle("open", 0, || world.open_at(PORT));
    let limiter = Limiter::start(&world, &LIMIT_10);
    let get = |patience| nginx.get(&world, address(CLIENT), patience);
    let kept: Vec<_> = (0..5).map(|_| get(PATIENCE).expect("an answer")).collect();
    // Old workers close the connections that they keep alive, new ones take over.
    nginx.signal(Signal::SIGHUP);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    drop(kept);
    let _again: Vec<_> = (0..10).map(|_| get(PATIENCE).expect("an answer")).collect();
    let refused = get(REFUSED_AFTER).expect_err("beyond the limit");
    assert_eq!(refused.kind(), ErrorKind::TimedOut);
    assert_eq!(limiter.zone(ZONE).connections, 10);
    limiter.must_be_exact(ZONE);
}
