//! A cgroup is gone, or another one is in its place, and sockets that were created in it live on.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use tests::{Limiter, Server, World, cgroup::Cgroup, client, settle, world::address};

use super::{LIMIT_3, is_attached, is_missing, links, links_at, must_be_attached};
use crate::{CLIENT, PORT, SERVER, ZONE};

const TWO_PORTS: [&str; 4] = ["--listen", "8080-8081", "--limit", "3"];
const SECOND: &str = "127.0.0.1:8081";

#[test]
fn connections_of_a_removed_cgroup_count_until_they_are_closed() {
    let (world, elsewhere) = (World::new(), Cgroup::new());
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &TWO_PORTS);
    let mut old = world.open_many(CLIENT, server.address(), 2);
    let gone = world.cgroup.id();
    world.cgroup.move_to(&elsewhere);
    world.cgroup.remove();
    is_missing(&limiter, &world.cgroup);
    assert_eq!(limiter.zone(ZONE).connections, 2);
    // The listener is still one of the removed cgroup.
    old.push(world.open(CLIENT, server.address()));
    world.must_be_refused(CLIENT, server.address());
    client::close(old.pop().expect("three are open")).expect("close");
    settle("connections", 2, || limiter.zone(ZONE).connections);

    world.cgroup.make();
    is_attached(&limiter, &world.cgroup);
    assert_ne!(world.cgroup.id(), gone);
    let second = world.serve(&[SECOND]);
    let new = world.open(CLIENT, second.address());
    world.must_be_refused(CLIENT, second.address());
    world.must_be_refused(CLIENT, server.address());
    // Another policy counts them as well.
    limiter.cli_ok(&["limit", "addr", "2"]);
    drop(old);
    settle("connections", 1, || limiter.zone(ZONE).connections);
    assert_eq!(links_at(&limiter, gone), 2, "the listener is there");
    server.kill();
    settle("links", 0, || links_at(&limiter, gone));
    assert_eq!(links(&limiter).len(), 2);
    drop(new);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_reload_counts_what_is_open_in_a_removed_cgroup() {
    const LIMITS: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 3;
        server { listen 8081; }";
    let (world, elsewhere) = (World::new(), Cgroup::new());
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, LIMITS);
    let open = world.open_many(CLIENT, server.address(), 3);
    world.cgroup.move_to(&elsewhere);
    world.cgroup.remove();
    is_missing(&limiter, &world.cgroup);
    assert_eq!(limiter.zone(ZONE).connections, 0);
    limiter.reload(&world, &LIMITS.replace("8081", "8080"));
    assert_eq!(limiter.zone(ZONE).connections, 3);
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn with_the_daemon_dead_a_service_restarts() {
    let (world, elsewhere) = (World::new(), Cgroup::new());
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &TWO_PORTS);
    let old = world.open_many(CLIENT, server.address(), 2);
    let gone = world.cgroup.id();
    limiter.end(Signal::SIGKILL);
    world.cgroup.move_to(&elsewhere);
    world.cgroup.remove();
    world.cgroup.make();
    let second = world.serve(&[SECOND]);
    let new = world.open_many(CLIENT, second.address(), 4);

    let limiter = Limiter::start(&world, &TWO_PORTS);
    limiter.must_say("took over");
    assert_eq!(limiter.zone(ZONE).connections, 6);
    world.must_be_refused(CLIENT, second.address());
    world.must_be_refused(CLIENT, server.address());
    drop(new);
    settle("connections", 2, || limiter.zone(ZONE).connections);
    let last = world.open(CLIENT, second.address());
    world.must_be_refused(CLIENT, second.address());
    world.must_be_refused(CLIENT, server.address());
    drop((old, last));
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(links_at(&limiter, gone), 2);
    server.kill();
    settle("links", 2, || links(&limiter).len());
    limiter.must_be_exact(ZONE);
}

#[test]
fn with_the_daemon_dead_a_service_ends_and_starts_later() {
    let (world, elsewhere) = (World::new(), Cgroup::new());
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_3);
    let mut old = world.open_many(CLIENT, server.address(), 2);
    limiter.end(Signal::SIGKILL);
    world.cgroup.move_to(&elsewhere);
    world.cgroup.remove();
    for _ in 0..2 {
        let limiter = Limiter::start(&world, &LIMIT_3);
        limiter.must_say("took over");
        is_missing(&limiter, &world.cgroup);
        assert_eq!(limiter.zone(ZONE).connections, 2);
        old.push(world.open(CLIENT, server.address()));
        world.must_be_refused(CLIENT, server.address());
        drop(old.pop());
        settle("connections", 2, || limiter.zone(ZONE).connections);
        limiter.end(Signal::SIGKILL);
    }
    // And nobody sees them end.
    drop((old, server));
    settle("open", 0, || world.open_at(PORT));
    let limiter = Limiter::start(&world, &LIMIT_3);
    limiter.must_say("took over");
    assert_eq!(limiter.zone(ZONE).connections, 0);
    settle("links", 0, || links(&limiter).len());
    world.cgroup.make();
    must_be_attached(&limiter, &world);
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_clean_stop_leaves_nothing_of_a_removed_cgroup() {
    let (world, elsewhere) = (World::new(), Cgroup::new());
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_3);
    let pinned = limiter.status().pinned.expect("a place");
    let _open = world.open_many(CLIENT, server.address(), 3);
    world.cgroup.move_to(&elsewhere);
    world.cgroup.remove();
    is_missing(&limiter, &world.cgroup);
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    assert!(!std::path::Path::new(&pinned).exists());
    let _free = world.open(CLIENT, server.address());
}

#[test]
fn a_service_that_restarts_under_load_is_counted_right_each_time() {
    let _heavy = crate::heavy();
    let world = World::new();
    let limiter = Limiter::start(&world, &["--listen", "8080", "--limit", "10"]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| world.netns.run(|| come_and_go(&done)));
        for round in 0..20 {
            let server = Server::start(&world, &[SERVER], &[]);
            let held = world.open_many("127.0.0.77", server.address(), 4);
            is_attached(&limiter, &world.cgroup);
            settle("held", 4, || {
                limiter.connections_of(ZONE, address("127.0.0.77"))
            });
            // Some go with the service, some before.
            if round % 2 == 0 {
                server.kill();
                drop(held);
            } else {
                drop(held);
                server.kill();
            }
            world.cgroup.remove();
            world.cgroup.make();
        }
        done.store(true, Relaxed);
        let count = load.join().expect("the load");
        eprintln!("{count} connections came and went");
        assert!(count > 100, "{count}");
    });
    settle("open", 0, || world.open_at(PORT));
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(limiter.zone(ZONE).keys, 0);
    is_attached(&limiter, &world.cgroup);
    settle("links", 2, || links(&limiter).len());
    let server = world.serve(&[SERVER]);
    let _open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    limiter.must_be_exact(ZONE);
}

/// Three at a time, as long as there is a server.
fn come_and_go(done: &AtomicBool) -> u64 {
    let to = SERVER.parse().expect("literal");
    let mut count = 0;
    while !done.load(Relaxed) {
        let open: Vec<_> = (0..3)
            .filter_map(|_| client::open_here(address(CLIENT), to, Duration::from_millis(100)).ok())
            .collect();
        count += open.len() as u64;
    }
    count
}
