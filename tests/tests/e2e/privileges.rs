//! What the daemon may do once it runs, thread by thread.

use std::{collections::BTreeMap, fs, path::Path};

use nix::sys::signal::Signal;
use tests::{Limiter, World, client, netns::NetNs, world::address};

use crate::{CLIENT, SERVER};

/// The bit of each capability in proc_pid_status(5), by linux/capability.h.
const DAC_READ_SEARCH: u64 = 1 << 2;
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
const SYS_PTRACE: u64 = 1 << 19;
const SYS_ADMIN: u64 = 1 << 21;
const PERFMON: u64 = 1 << 38;
const BPF: u64 = 1 << 39;

const KEPT: u64 = NET_ADMIN | NET_RAW | SYS_PTRACE | SYS_ADMIN | PERFMON | BPF;

/// Of every thread, whatever it does.
#[track_caller]
fn must_have_no_more_than(limiter: &Limiter, kept: u64) {
    let tasks = format!("/proc/{}/task", limiter.id());
    let tasks = fs::read_dir(&tasks).unwrap_or_else(|e| panic!("list {tasks}: {e}"));
    let mut seen = 0;
    for task in tasks {
        let path = task.expect("a thread").path();
        let Some(status) = status(&path) else {
            // It has ended meanwhile.
            continue;
        };
        let set = |name: &str| u64::from_str_radix(&status[name], 16).expect("bits");
        let about = format!("{} of {}", status["Name"], path.display());
        for name in ["CapEff", "CapPrm"] {
            assert_eq!(set(name), kept, "{name} of {about}");
        }
        for name in ["CapInh", "CapAmb", "CapBnd"] {
            assert_eq!(set(name), 0, "{name} of {about}");
        }
        assert_eq!(status["NoNewPrivs"], "1", "{about}");
        seen += 1;
    }
    assert!(seen > 2, "the log's thread, and more than one that works");
}

fn status(task: &Path) -> Option<BTreeMap<String, String>> {
    let text = fs::read_to_string(task.join("status")).ok()?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Some(
        fields
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
    )
}

#[test]
fn no_thread_keeps_what_the_daemon_does_not_need() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(
        &world,
        &["--listen", "8080", "--limit", "1", "--action", "close"],
    );
    must_have_no_more_than(&limiter, KEPT);
    let _open = world.open(CLIENT, server.address());
    let _waiting = world.must_wait(CLIENT, server.address());
    // Threads that came with the work.
    limiter.cli_ok(&["limit", "addr", "2"]);
    limiter.cli_ok(&["zones", "addr"]);
    must_have_no_more_than(&limiter, KEPT);
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        !said.contains("ermission denied") && !said.contains("not permitted"),
        "{said}"
    );
    assert!(!world.control().exists(), "it removes its socket");
}

#[test]
fn what_it_keeps_is_enough_for_everything_that_changes_later() {
    const LIMITS: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;
        server { listen 8080; limit_conn addr 1; limit_conn_action drop; }";
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, LIMITS);
    // To read files wherever they lie, beside the others.
    must_have_no_more_than(&limiter, KEPT | DAC_READ_SEARCH);
    let first = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());

    // Another zone: a map is made, and open connections are counted into it; and sockets of ours in a
    // network namespace that nobody knew of at the start.
    let pod = NetNs::new();
    let in_pod = tests::Server::start_at(&pod, Some(&world.cgroup), &[SERVER], &[]);
    limiter.reload(
        &world,
        "limit_conn_zone $binary_remote_addr$server_port zone=both:2m;
        server { listen 8080; limit_conn both 1; limit_conn_action reset; }",
    );
    world.must_be_reset(CLIENT, server.address());
    // It is one key in both.
    client::must_be_reset(&pod, address(CLIENT), in_pod.address());
    drop(first);
    must_have_no_more_than(&limiter, KEPT | DAC_READ_SEARCH);
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        !said.contains("ermission denied") && !said.contains("not permitted"),
        "{said}"
    );
}
