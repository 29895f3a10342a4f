//! The flags of `run`.

use std::path::PathBuf;

use crate::{
    config::{Flags, parse},
    policy::Attach,
    render::policy::configuration,
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
        key: Some("$remote_addr$server_port".to_owned()),
        zone_size: Some("1m".to_owned()),
        v4_prefix: Some("24".to_owned()),
        v6_prefix: Some("64".to_owned()),
        on_full: Some("evict".to_owned()),
        action: words(&["close", "delay=1m30s"]),
        dry_run: true,
        log_level: Some("warn".to_owned()),
        control_group: Some("0".to_owned()),
        control_others: Some("read".to_owned()),
        metrics: words(&["9145", "[::1]:9145"]),
    };
    let text = "attach cgroup /sys/fs/cgroup/a; attach interface eth0; attach interface eth1;
        limit_conn_zone $remote_addr$server_port zone=addr:1m v4_prefix=24 v6_prefix=64
            on_full=evict;
        server {
            server_name default; listen 443; listen [::1]:8000-8100;
            limit_conn addr 20; limit_conn_dry_run on; limit_conn_log_level warn;
            limit_conn_action close delay=1m30s;
        }";
    let text = format!(
        "{text} control /run/limiter/limiter.sock others=read group=0;
        metrics 9145; metrics [::1]:9145;"
    );
    let mut from_file = parse("t.conf", &text).expect("valid").policy;
    // No flag of these names the socket.
    from_file.control = None;
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
                v4_prefix: some("33"),
                ..limited()
            },
            r#"--v4-prefix: invalid prefix length "33""#,
        ),
        (
            Flags {
                v6_prefix: some("/64"),
                ..limited()
            },
            r#"--v6-prefix: invalid prefix length "/64""#,
        ),
        (
            Flags {
                v4_prefix: some("24"),
                key: some("$server_port"),
                ..limited()
            },
            "--v4-prefix: a prefix needs a key with the client address",
        ),
        (
            Flags {
                on_full: some("drop"),
                ..limited()
            },
            r#"--on-full: invalid value "drop""#,
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

#[test]
fn every_value_names_its_flag() {
    let flags = Flags {
        cgroup: vec![PathBuf::from("/a")],
        interface: words(&["eth0"]),
        listen: words(&["443"]),
        key: Some("$remote_addr".to_owned()),
        v6_prefix: Some("64".to_owned()),
        action: words(&["close", "delay=2s"]),
        dry_run: true,
        ..limited()
    };
    let loaded = flags.policy().expect("valid");
    let expected = "\
error_log stderr notice;               # default
attach cgroup /a;                      # --cgroup
attach interface eth0 mode=auto;       # name: --interface; mode: default

# room for 163840 keys, takes 23.3 MiB of kernel memory
limit_conn_zone $remote_addr zone=addr:10m v4_prefix=32 v6_prefix=64 on_full=reject;  \
# key: --key; name, size, v4_prefix, on_full: default; v6_prefix: --v6-prefix

server {                               # default
    server_name default;               # default
    listen 443;                        # --listen
    limit_conn addr 20;                # --limit
    limit_conn_exempt off;             # default
    limit_conn_dry_run on;             # --dry-run
    limit_conn_log_level error;        # default
    limit_conn_action close delay=2s;  # --action
}
";
    assert_eq!(configuration(&loaded.policy, &loaded.origins, 2), expected);
}
