//! Words that the command line does not take.

use tests::{World, limiter, process::run, programs::Programs};

#[test]
fn wrong_usage_ends_with_code_2_and_attaches_nothing() {
    let world = World::new();
    for (arguments, word) in [
        (&["run", "--limit", "0"][..], "0"),
        (&["run", "--limit", "many"], "many"),
        (&["run", "--limit", "65536"], "65536"),
        (&["run", "--limit", "10", "--listen", "65536"], "65536"),
        (&["run", "--limit", "10", "--listen", "0"], "0"),
        (&["run", "--limit", "10", "--listen", "90-80"], "90-80"),
        (&["run", "--limit", "10", "--key", "$nothing"], "nothing"),
        (&["run", "--limit", "10", "--zone-size", "1k"], "small"),
        (&["run", "--limit", "10", "--zone-size", "big"], "big"),
        (&["run", "--limit", "10", "--v4-prefix", "33"], "33"),
        (
            &[
                "run",
                "--limit",
                "10",
                "--key",
                "$server_port",
                "--v6-prefix",
                "64",
            ],
            "client address",
        ),
        (&["run", "--limit", "10", "--on-full", "drop"], "drop"),
        (&["run", "--limit", "10", "--log-level", "loud"], "loud"),
        (&["run", "--limit", "10", "--action", "ban"], "ban"),
        (
            &["run", "--limit", "10", "--action", "drop", "delay=1s"],
            "delay=1s",
        ),
        (
            &["run", "--limit", "10", "--action", "close", "delay=2h"],
            "delay=2h",
        ),
        (&["run", "--limit", "10", "--interface", "eth0/1"], "eth0/1"),
        (
            &[
                "run",
                "--limit",
                "10",
                "--interface",
                "a",
                "--interface",
                "a",
            ],
            "twice",
        ),
        (&["run", "--limit", "10", "--frobnicate"], "--frobnicate"),
        (&["frobnicate"], "frobnicate"),
    ] {
        let mut command = limiter::command();
        command.args(arguments);
        if arguments[0] == "run" {
            command
                .arg("--cgroup")
                .arg(world.cgroup.path())
                .arg("--control")
                .arg(world.control());
        }
        let output = run(command, Some(&world.netns));
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.stderr);
        assert!(
            output.stderr.contains(word) && !output.stderr.contains("panicked"),
            "{arguments:?}: {}",
            output.stderr
        );
        assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
        assert!(!world.control().exists(), "{arguments:?}");
    }
}
