//! A machine, or a place on it, where the limiter cannot do its work: it says what is missing, and
//! changes nothing.

use std::{
    fs, io,
    os::unix::{net::UnixListener, process::CommandExt},
    path::{Path, PathBuf},
};

use tests::{Limiter, World, cgroup, limiter, mounts, process::run, programs::Programs};

use crate::{CLIENT, LIMIT_10, SERVER};

#[test]
fn a_cgroup_path_that_is_not_cgroup2_is_refused() {
    let world = World::new();
    for path in [
        world.path("."),
        PathBuf::from("/proc"),
        world.path("missing"),
        world.cgroup.path().join("cgroup.procs"),
        world.cgroup.path().join("cgroup.procs/below"),
        PathBuf::from("/proc/missing/below"),
    ] {
        let mut command = limiter::command();
        command
            .args(["run", "--limit", "10", "--cgroup"])
            .arg(&path)
            .arg("--control")
            .arg(world.control());
        let output = run(command, Some(&world.netns));
        assert!(matches!(output.code, Some(1 | 2)), "{}", output.stderr);
        let name = path.display().to_string();
        assert!(
            output.stderr.contains(name.trim_end_matches("/.")),
            "it names {name}: {}",
            output.stderr
        );
        if path.exists() {
            assert!(output.stderr.contains("cgroup2"), "{}", output.stderr);
        }
        assert!(!world.control().exists());
    }
}

#[test]
fn without_a_cgroup2_hierarchy_the_start_says_so() {
    let world = World::new();
    let mut command = limiter::command();
    command
        .args(["run", "--limit", "10", "--listen", "8080", "--control"])
        .arg(world.control());
    mounts::without(&mut command, &cgroup::root());
    let output = run(command, Some(&world.netns));
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(
        output.stderr.contains("cgroup2") && output.stderr.contains("mount"),
        "{}",
        output.stderr
    );
    assert!(!world.control().exists());
}

#[test]
fn without_bpffs_the_limiter_works_all_the_same() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let mut command = Limiter::command(&world, &LIMIT_10);
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    for line in mounts.lines().filter(|line| line.contains(" - bpf ")) {
        let point = line.split(' ').nth(4).expect("a mount point");
        mounts::without(&mut command, Path::new(point));
    }
    let limiter = Limiter::try_command(&world.netns, &world.control(), command)
        .expect("it mounts bpffs if it needs it");
    let _open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    drop(limiter);
}

#[test]
fn without_privilege_the_missing_capabilities_are_named() {
    let world = World::new();
    let mut command = Limiter::command(&world, &LIMIT_10);
    command.arg("--control").arg(world.control());
    // SAFETY: only system calls.
    unsafe { command.pre_exec(drop_capabilities) };
    let output = run(command, Some(&world.netns));
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    for capability in ["CAP_BPF", "CAP_NET_ADMIN"] {
        assert!(
            output.stderr.contains(capability),
            "{capability}: {}",
            output.stderr
        );
    }
    assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
    assert!(!world.control().exists());
}

#[test]
fn a_command_says_that_nobody_listens_on_the_control_socket() {
    let world = World::new();
    let missing = world.control();
    let dead = world.path("dead.sock");
    drop(UnixListener::bind(&dead).expect("bind"));
    for path in [missing, dead] {
        for arguments in [
            &["status"][..],
            &["status", "--json"],
            &["zones"],
            &["zones", "addr", "--top", "3"],
            &["events"],
            &["limit", "addr", "3"],
            &["dry-run", "on"],
            &["log-level", "info"],
            &["action", "reset"],
            &["action", "close", "delay=2s"],
            &["reset"],
        ] {
            let output = limiter::cli(&path, arguments);
            assert_eq!(output.code, Some(3), "{arguments:?}: {}", output.stderr);
            assert_eq!(output.stdout, "", "{arguments:?}");
            assert!(
                output.stderr.contains(&path.display().to_string()),
                "{arguments:?}: {}",
                output.stderr
            );
        }
    }
}

#[test]
fn a_dead_control_socket_does_not_keep_a_limiter_from_starting() {
    let world = World::new();
    drop(UnixListener::bind(world.control()).expect("bind"));
    let limiter = Limiter::start(&world, &LIMIT_10);
    assert_eq!(limiter.status().pid, limiter.id());
}

#[test]
fn a_file_in_place_of_the_control_socket_is_not_removed() {
    let world = World::new();
    let path = world.write("c.sock", "precious");
    let failed = Limiter::try_start(&world, &path, &LIMIT_10).expect_err("not a socket");
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(
        failed.stderr.contains(&path.display().to_string()),
        "{}",
        failed.stderr
    );
    assert_eq!(fs::read_to_string(path).expect("still there"), "precious");
    assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
}

// An empty bounding set: exec gives root nothing (capabilities(7)).
fn drop_capabilities() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: takes numbers only. Those that the kernel does not know are refused.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    Ok(())
}
