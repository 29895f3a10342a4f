//! The program on interfaces, when the daemon ends and another one begins.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use nix::sys::signal::Signal;
use tests::{
    Limiter, World,
    limiter::cli,
    link::{self, XdpMode},
    settle,
};

use crate::{
    CLIENT, SERVER,
    interface::{attached, config, flags, only, with_veth},
};

const BOTH: [&str; 4] = ["--interface", "edge0", "--interface", "lo"];

#[test]
fn the_program_stays_and_another_daemon_goes_on_with_it() {
    let world = with_veth();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags(&BOTH));
    let links = pinned_links(&limiter);
    assert_eq!(links.len(), 2, "{links:?}");
    let _open = world.open_many(CLIENT, server.address(), 10);
    limiter.end(Signal::SIGKILL);
    let before = only(&world, "edge0");
    assert_eq!(before.mode, XdpMode::Native);
    world.must_be_refused(CLIENT, server.address());

    // There is a program at every moment.
    let done = AtomicBool::new(false);
    let limiter = thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Relaxed) {
                only(&world, "edge0");
                only(&world, "lo");
                looks += 1;
            }
            looks
        });
        let limiter = Limiter::start(&world, &flags(&BOTH));
        done.store(true, Relaxed);
        let looks = looks.join().expect("a program at every moment");
        assert!(looks > 0);
        limiter
    });
    assert_eq!(pinned_links(&limiter), links, "the same links");
    assert_ne!(only(&world, "edge0").id, before.id, "another program");
    assert_eq!(
        attached(&limiter),
        [
            "edge0: limiter_xdp Some(Native)",
            "lo: limiter_xdp Some(Generic)"
        ]
    );
    world.must_be_refused(CLIENT, server.address());
    let (status, stderr) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{stderr}");
    assert_eq!(link::xdp(&world.netns, "edge0"), []);
    assert_eq!(link::xdp(&world.netns, "lo"), []);
}

#[test]
fn whoever_meets_the_program_of_another_limiter_is_told_so() {
    let world = with_veth();
    let limiter = Limiter::start(&world, &flags(&["--interface", "lo"]));
    limiter.end(Signal::SIGKILL);
    let before = only(&world, "lo");
    let other = world.path("other.sock");
    let failed = Limiter::try_start(&world, &other, &flags(&["--interface", "lo"]));
    let failed = failed.expect_err("it is taken");
    assert!(
        failed.stderr.contains("that is another limiter"),
        "{}",
        failed.stderr
    );
    assert_eq!(only(&world, "lo"), before);
}

#[test]
fn what_has_changed_meanwhile_is_as_the_next_policy_says() {
    let world = with_veth();
    let limiter = Limiter::start(&world, &flags(&BOTH));
    limiter.end(Signal::SIGKILL);
    // An interface less, and the other is another device.
    link::delete(&world.netns, "edge0");
    link::add_veth(&world.netns, "edge0", "edge1");
    let limiter = Limiter::start_config(&world, &config("edge0", "native"));
    assert_eq!(only(&world, "edge0").mode, XdpMode::Native);
    assert_eq!(link::xdp(&world.netns, "lo"), []);
    assert_eq!(pinned_links(&limiter).len(), 1);
    limiter.end(Signal::SIGKILL);

    let limiter = Limiter::start_config(&world, &config("edge0", "generic"));
    assert_eq!(only(&world, "edge0").mode, XdpMode::Generic);
    limiter.end(Signal::SIGKILL);

    // The name has gone to another device.
    link::rename(&world.netns, "edge0", "old0");
    link::rename(&world.netns, "edge1", "edge0");
    let limiter = Limiter::start_config(&world, &config("edge0", "auto"));
    assert_eq!(only(&world, "edge0").mode, XdpMode::Native);
    assert_eq!(link::xdp(&world.netns, "old0"), []);

    // And while it runs.
    let reloaded = limiter.reload(&world, "limit_conn_zone $binary_remote_addr zone=addr:1m;");
    drop(reloaded);
    settle("programs", Vec::new(), || link::xdp(&world.netns, "edge0"));
    assert!(pinned_links(&limiter).is_empty());
}

#[test]
fn at_another_cgroup_the_program_is_replaced_and_not_missed() {
    let world = with_veth();
    let elsewhere = World::new();
    let limiter = Limiter::start(&world, &flags(&["--interface", "lo"]));
    limiter.end(Signal::SIGKILL);
    let before = only(&world, "lo").id;
    let command = Limiter::command(&elsewhere, &flags(&["--interface", "lo"]));
    let limiter = Limiter::try_command(&world.netns, &world.control(), command)
        .unwrap_or_else(|failed| panic!("{}", failed.stderr));
    limiter.must_say("took the place");
    assert_ne!(only(&world, "lo").id, before);
    assert_eq!(pinned_links(&limiter).len(), 1);
    limiter.end(Signal::SIGKILL);
    let detached = cli(&world.control(), &["detach"]);
    assert_eq!(detached.code, Some(0), "{}", detached.stderr);
    settle("programs", Vec::new(), || link::xdp(&world.netns, "lo"));
}

/// Inode numbers of the pinned links at interfaces.
fn pinned_links(limiter: &Limiter) -> Vec<u64> {
    let place = limiter.status().pinned.expect("it is pinned");
    let entries = fs::read_dir(format!("{place}/links")).expect("links");
    let mut links: Vec<u64> = entries
        .map(|entry| entry.expect("a link"))
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("limiter_xdp")
        })
        .map(|entry| entry.metadata().expect("metadata").ino())
        .collect();
    links.sort_unstable();
    links
}
