//! The flags of `run`.

use std::path::PathBuf;

use crate::{
    config::{Flags, parse},
    policy::Attach,
};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn limited() -> Flags {
    Flags {
        limit: Some("20".to_owned()),
        ..Flags::default()
    }
}

#[test]
fn flags_and_file_come_to_the_same_policy() {
    let flags = Flags {
        cgroup: vec![PathBuf::from("/sys/fs/cgroup/a")],
        interface: words(&["eth0", "eth1"]),
        listen: words(&["443", "[::1]:8000-8100"]),
        limit: Some("20".to_owned()),
        key: Some("$server_port".to_owned()),
        zone_size: Some("1m".to_owned()),
        action: words(&["close", "delay=1m30s"]),
        dry_run: true,
        log_level: Some("warn".to_owned()),
    };
    let text = "attach cgroup /sys/fs/cgroup/a; attach interface eth0; attach interface eth1;
        limit_conn_zone $server_port zone=addr:1m;
        server {
            server_name default; listen 443; listen [::1]:8000-8100;
            limit_conn addr 20; limit_conn_dry_run on; limit_conn_log_level warn;
            limit_conn_action close delay=1m30s;
        }";
    let from_file = parse("t.conf", text).expect("valid").policy;
    assert_eq!(flags.policy().expect("valid").policy, from_file);
}

#[test]
fn defaults_come_to_the_shortest_file() {
    let text = "limit_conn_zone $binary_remote_addr zone=addr:10m; limit_conn addr 20;";
    let from_file = parse("t.conf", text).expect("valid").policy;
    assert_eq!(limited().policy().expect("valid").policy, from_file);
    assert!(Flags::default().is_empty() && !limited().is_empty());
}

#[test]
fn a_relative_cgroup_starts_from_the_working_directory() {
    let flags = Flags {
        cgroup: vec![PathBuf::from("a")],
        ..limited()
    };
    let here = std::env::current_dir().expect("a directory");
    let expected = [Attach::Cgroup(here.join("a"))];
    assert_eq!(flags.policy().expect("valid").policy.attach, expected);
}

#[test]
fn an_error_names_the_flag() {
    let some = |text: &str| Some(text.to_owned());
    let table = [
        (Flags::default(), "--limit is missing"),
        (
            Flags {
                limit: some("0"),
                ..Flags::default()
            },
            r#"--limit: invalid number of connections "0""#,
        ),
        (
            Flags {
                listen: words(&["70000"]),
                ..limited()
            },
            r#"--listen: invalid port in "70000""#,
        ),
        (
            Flags {
                listen: words(&["1-9", "*:5"]),
                ..limited()
            },
            r#"--listen: "5" is already covered by "1-9""#,
        ),
        (
            Flags {
                key: some("$host"),
                ..limited()
            },
            r#"--key: unknown "host" variable"#,
        ),
        (
            Flags {
                zone_size: some("10x"),
                ..limited()
            },
            r#"--zone-size: invalid zone size "10x""#,
        ),
        (
            Flags {
                zone_size: some("1k"),
                ..limited()
            },
            r#"--zone-size: zone "addr" is too small"#,
        ),
        (
            Flags {
                log_level: some("debug"),
                ..limited()
            },
            r#"--log-level: invalid value "debug""#,
        ),
        (
            Flags {
                cgroup: vec![PathBuf::from("/a"), PathBuf::from("/a/")],
                ..limited()
            },
            r#"--cgroup: "/a/" is given twice"#,
        ),
        (
            Flags {
                cgroup: vec![PathBuf::new()],
                ..limited()
            },
            r#"--cgroup: invalid path "": cannot make an empty path absolute"#,
        ),
        (
            Flags {
                interface: words(&["eth0", "a/b"]),
                ..limited()
            },
            r#"--interface: invalid interface name "a/b""#,
        ),
        (
            Flags {
                interface: words(&["eth0", "eth1", "eth0"]),
                ..limited()
            },
            r#"--interface: "eth0" is given twice"#,
        ),
        (
            Flags {
                action: words(&["ban"]),
                ..limited()
            },
            r#"--action: invalid value "ban""#,
        ),
        (
            Flags {
                action: words(&["reset", "delay=1s"]),
                ..limited()
            },
            r#"--action: invalid parameter "delay=1s", "reset" has no delay"#,
        ),
        (
            Flags {
                action: words(&["close", "delay=2h"]),
                ..limited()
            },
            r#"--action: too long delay "delay=2h""#,
        ),
    ];
    for (flags, expected) in table {
        let error = flags.policy().expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
}
