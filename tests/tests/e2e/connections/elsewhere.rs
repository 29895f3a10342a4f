//! Connections in other network namespaces, and of other users' processes.

use std::{collections::HashSet, os::unix::process::CommandExt};

use nix::sys::signal::Signal;
use tests::{Limiter, Server, World, client, netns::NetNs, world::address};

use super::{ends, hidden_from_root, list, of};
use crate::{CLIENT, LIMIT_10, SERVER};

#[test]
fn connections_in_every_network_namespace_are_listed() {
    let world = World::new();
    let elsewhere = NetNs::new();
    let here = world.serve(&[SERVER]);
    let there = Server::start_at(&elsewhere, Some(&world.cgroup), &[SERVER], &[]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let one = world.open(CLIENT, here.address());
    let other = client::open(&elsewhere, address(CLIENT), there.address());

    let list = list(&limiter, &[]);
    let mut pids: Vec<_> = list
        .connections
        .iter()
        .map(|it| (it.remote_port, it.processes[0].pid))
        .collect();
    pids.sort_unstable();
    let mut expected = [
        (ends(&one).0.port(), here.id()),
        (ends(&other).0.port(), there.id()),
    ];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    let namespaces: HashSet<_> = list.connections.iter().map(|it| it.netns).collect();
    assert_eq!(namespaces.len(), 2);
    let text = limiter.cli_ok(&["connections"]);
    assert!(
        text.lines()
            .next()
            .is_some_and(|line| line.ends_with("NETNS")),
        "{text}"
    );
}

#[test]
fn whose_process_it_is_is_found_for_other_users_too_or_said_to_be_hidden() {
    let world = World::new();
    let server = Server::start(&world, &[SERVER], &["--user", "4321"]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let stream = world.open(CLIENT, server.address());
    let elsewhere = NetNs::new();
    let there = Server::start_at(&elsewhere, Some(&world.cgroup), &[SERVER], &[]);
    let _other = client::open(&elsewhere, address(CLIENT), there.address());
    let all = list(&limiter, &[]);
    assert_eq!((all.matching, all.missing), (2, 0));
    let pids: Vec<_> = of(&all, &stream)
        .processes
        .iter()
        .map(|it| it.pid)
        .collect();
    assert_eq!(pids, [server.id()]);
    assert_eq!(all.hidden_processes, hidden_from_root());
    // Another one could not enter the other namespace to adopt what is open there.
    limiter.end(Signal::SIGKILL);

    let mut command = Limiter::command(&world, &LIMIT_10);
    // SAFETY: between fork and exec only system calls are made; nothing allocates.
    unsafe {
        command.pre_exec(|| {
            // CAP_SYS_PTRACE, include/uapi/linux/capability.h
            match libc::prctl(libc::PR_CAPBSET_DROP, 19, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let limiter = Limiter::try_command(&world.netns, &world.control(), command);
    let limiter = limiter.expect("it does without");
    let all = list(&limiter, &[]);
    assert!(of(&all, &stream).processes.is_empty(), "{all:?}");
    assert!(all.hidden_processes > hidden_from_root());
    assert_eq!((all.matching, all.missing), (1, 1));
    let said = limiter.cli(&["connections"]).stderr;
    assert!(said.contains("CAP_SYS_PTRACE"), "{said}");
    assert!(
        said.contains("1 connections that hold slots were not found"),
        "{said}"
    );
}
