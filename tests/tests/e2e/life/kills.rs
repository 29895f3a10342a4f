//! Killed at random moments, over and over.

use std::{path::Path, process::Stdio, sync::atomic::AtomicBool, thread, time::Duration};

use nix::sys::signal::Signal;
use tests::{
    Limiter, World,
    programs::Programs,
    random::{Random, seed},
    settle, sockdiag,
};

use super::load::{EndOfLoad, come_and_go, storm};
use crate::{CLIENT, PORT, SERVER, ZONE};

const KILLS: usize = 100;
const LIMIT: usize = 10;

#[test]
fn after_a_hundred_kills_under_load_the_count_is_right_and_the_limit_has_held() {
    let _heavy = crate::heavy();
    let world = World::new();
    world
        .netns
        .sysctl("net/ipv4/ip_local_port_range", "1024 65535");
    let server = world.serve(&[SERVER]);
    let flags = ["--listen", "8080", "--limit", "10"];
    let (seed, done) = (seed(), AtomicBool::new(false));
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let limiter = Limiter::start(&world, &flags);
    let held = world.open_many("127.0.0.77", server.address(), LIMIT - 1);
    let (limiter, count, most) = thread::scope(|scope| {
        let mut limiter = limiter;
        let end_of_load = EndOfLoad(&done);
        let churn = scope.spawn(|| world.netns.run(|| come_and_go(&done)));
        let storm = scope.spawn(|| world.netns.run(|| storm(LIMIT, &done)));
        for _ in 0..KILLS {
            thread::sleep(Duration::from_millis(random.below(60) as u64));
            // Some in the middle of a reload.
            if random.below(3) == 0 {
                limiter.signal(Signal::SIGHUP);
                thread::sleep(Duration::from_millis(random.below(20) as u64));
            }
            limiter.end(Signal::SIGKILL);
            // Some before they are ready.
            if random.below(3) == 0 {
                let mut command = Limiter::command(&world, &flags);
                command.arg("--control").arg(world.control());
                let mut process = command
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("start a limiter");
                thread::sleep(Duration::from_millis(random.below(300) as u64));
                process.kill().expect("kill it");
                process.wait().expect("wait for it");
            }
            limiter = Limiter::start(&world, &flags);
        }
        drop(end_of_load);
        (
            limiter,
            churn.join().expect("those who come and go"),
            storm.join().expect("the storm"),
        )
    });
    eprintln!("{count} connections came and went, {most} of the storm at once");
    assert!(count > 1_000, "{count}");
    assert!(most <= LIMIT, "{most} of one client at once");
    settle("connections", LIMIT as u64 - 1, || {
        limiter.zone(ZONE).connections
    });
    assert_eq!(sockdiag::count(&world.netns, PORT), LIMIT as u64 - 1);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.untracked, zone.exhausted), (1, 0, 0));
    limiter.must_be_exact(ZONE);
    let _last = world.open("127.0.0.77", server.address());
    world.must_be_refused("127.0.0.77", server.address());
    drop(held);
}

#[test]
fn whoever_is_killed_while_it_takes_the_place_of_another_leaves_nothing_for_ever() {
    let _heavy = crate::heavy();
    let (world, elsewhere) = (World::new(), World::new());
    let server = world.serve(&[SERVER]);
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let open = world.open_many(CLIENT, server.address(), 3);
    for round in 0..30 {
        // At one cgroup and at the other in turn, so each has to make its own set.
        let at = if round % 2 == 0 { &world } else { &elsewhere };
        let mut command = Limiter::command(at, &["--limit", "3"]);
        command.arg("--control").arg(world.control());
        let mut process = command
            .stderr(Stdio::null())
            .spawn()
            .expect("start a limiter");
        thread::sleep(Duration::from_millis(random.below(600) as u64));
        process.kill().expect("kill it");
        process.wait().expect("wait for it");
    }
    let limiter = Limiter::start(&world, &["--limit", "3"]);
    assert_eq!(
        Programs::attached(world.cgroup.path()),
        Programs::ONE_LIMITER
    );
    assert_eq!(Programs::attached(elsewhere.cgroup.path()), Programs::NONE);
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let place = limiter.status().pinned.expect("it is pinned");
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
    assert!(!Path::new(&place).exists());
    assert!(!Path::new(&(place + "+new")).exists(), "{said}");
}
