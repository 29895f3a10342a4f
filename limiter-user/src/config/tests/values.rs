//! What a right configuration comes to.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use limiter_common::key::KeyFields;

use crate::{
    config::{Loaded, parse},
    policy::{
        Action, Attach, ErrorLog, Grant, Group, Interface, Key, LimitConn, Listen, ListenAddr,
        LogFormat, LogLevel, LogTarget, Metrics, OnFull, Others, Override, Policy, Prefixes,
        Server, XdpMode, Zone,
    },
};

/// Every directive of this version, and most ways to write a word.
const SAMPLE: &str = r#"# limiter
error_log /var/log/limiter/error.log info format=json;
control "/run/limiter/limiter.sock" others=read group=0;
metrics 9145; metrics [2001:db8::9]:9145; metrics_top 50;
metrics_run_time on;
attach cgroup /sys/fs/cgroup/system.slice/a\x2db.service;
attach cgroup '/sys/fs/cgroup/with blank';
attach interface eth0;
attach interface 'veth{1}' mode=native;

stream {
    limit_conn_zone $binary_remote_addr   zone=addr:10m v6_prefix=64;
    limit_conn_zone "${server_addr} $server_port" "zone=per server:64k" on_full=reject;
    limit_conn_zone $remote_addr v4_prefix=24 zone=net:1m on_full=evict v6_prefix=48;

    limit_conn addr 20;
    limit_conn_override addr 198.51.100.0/24 200; limit_conn_override addr 2001:db8::/32 5;
    limit_conn_exempt 192.0.2.0/24 ::1;
    limit_conn_exempt ::ffff:10.0.0.0/104;
    limit_conn_log_level notice;
    limit_conn_action close delay=1m30s;

    server {
        server_name web; listen 443; listen *:8000-8100; listen [2001:db8::1]:80;
        limit_conn addr 10; limit_conn "per server" 65535; limit_conn net 100;
        limit_conn_override net 203.0.113.0/24 65535;
        limit_conn_dry_run on;
        limit_conn_action reset;
        limit_conn_log_level warn;
    }
    server { listen 192.0.2.1:443; limit_conn_exempt off; } # and the rest
    server{}
}
"#;

fn loaded(text: &str) -> Loaded {
    match parse("t.conf", text) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}\n{text}"),
    }
}

#[test]
fn the_sample_comes_to_this_policy() {
    let Loaded {
        policy, warnings, ..
    } = loaded(SAMPLE);
    assert!(warnings.is_empty(), "{warnings:?}");
    let any = |first_port, last_port| Listen {
        addr: ListenAddr::Any,
        first_port,
        last_port,
    };
    let at = |address: &str, port| Listen {
        addr: ListenAddr::Ip(address.parse().expect("an address")),
        first_port: port,
        last_port: port,
    };
    let networks = |texts: &[&str]| -> Vec<IpNet> {
        let texts = texts.iter();
        texts.map(|text| text.parse().expect("a network")).collect()
    };
    let network = |text: &str| text.parse().expect("a network");
    let limit = |zone, number| LimitConn {
        zone,
        number,
        overrides: Vec::new(),
    };
    let inherits = |name: &str, listen, exempt: &[&str]| Server {
        name: name.to_owned(),
        listen,
        limits: vec![LimitConn {
            overrides: vec![
                Override {
                    network: network("198.51.100.0/24"),
                    number: 200,
                },
                Override {
                    network: network("2001:db8::/32"),
                    number: 5,
                },
            ],
            ..limit(0, 20)
        }],
        exempt: networks(exempt),
        dry_run: false,
        log_level: LogLevel::Notice,
        action: Action::Close { delay_ms: 90_000 },
    };
    let expected = Policy {
        zones: vec![
            Zone {
                name: "addr".to_owned(),
                key: Key {
                    text: "$binary_remote_addr".to_owned(),
                    fields: KeyFields::REMOTE_ADDR,
                    empty: false,
                },
                size_bytes: 10 << 20,
                prefixes: Prefixes { v4: 32, v6: 64 },
                on_full: OnFull::Reject,
            },
            Zone {
                name: "per server".to_owned(),
                key: Key {
                    text: "${server_addr} $server_port".to_owned(),
                    fields: KeyFields::SERVER_ADDR.union(KeyFields::SERVER_PORT),
                    empty: false,
                },
                size_bytes: 64 << 10,
                prefixes: Prefixes::WHOLE,
                on_full: OnFull::Reject,
            },
            Zone {
                name: "net".to_owned(),
                key: Key {
                    text: "$remote_addr".to_owned(),
                    fields: KeyFields::REMOTE_ADDR,
                    empty: false,
                },
                size_bytes: 1 << 20,
                prefixes: Prefixes { v4: 24, v6: 48 },
                on_full: OnFull::Evict,
            },
        ],
        servers: vec![
            Server {
                name: "web".to_owned(),
                listen: vec![any(443, 443), any(8000, 8100), at("2001:db8::1", 80)],
                limits: vec![
                    limit(0, 10),
                    limit(1, 65535),
                    LimitConn {
                        overrides: vec![Override {
                            network: network("203.0.113.0/24"),
                            number: 65535,
                        }],
                        ..limit(2, 100)
                    },
                ],
                exempt: networks(&["192.0.2.0/24", "::1/128", "10.0.0.0/8"]),
                dry_run: true,
                log_level: LogLevel::Warn,
                action: Action::Reset,
            },
            inherits("192.0.2.1:443", vec![at("192.0.2.1", 443)], &[]),
            inherits(
                "default",
                Vec::new(),
                &["192.0.2.0/24", "::1/128", "10.0.0.0/8"],
            ),
        ],
        upstreams: Vec::new(),
        attach: vec![
            Attach::Cgroup(PathBuf::from(r"/sys/fs/cgroup/system.slice/a\x2db.service")),
            Attach::Cgroup(PathBuf::from("/sys/fs/cgroup/with blank")),
            Attach::Interface(Interface {
                name: "eth0".to_owned(),
                mode: XdpMode::Auto,
            }),
            Attach::Interface(Interface {
                name: "veth{1}".to_owned(),
                mode: XdpMode::Native,
            }),
        ],
        error_log: ErrorLog {
            target: LogTarget::File(PathBuf::from("/var/log/limiter/error.log")),
            level: LogLevel::Info,
            format: LogFormat::Json,
        },
        control: Some(PathBuf::from("/run/limiter/limiter.sock")),
        grant: Grant {
            group: Some(Group {
                name: "0".to_owned(),
                gid: 0,
            }),
            others: Others::Read,
        },
        metrics: Metrics {
            listen: vec![
                SocketAddr::from(([127, 0, 0, 1], 9145)),
                "[2001:db8::9]:9145".parse().expect("an address"),
            ],
            top: 50,
            run_time: true,
        },
    };
    assert_eq!(policy, expected);
}

#[test]
fn words_follow_the_rules_of_nginx() {
    // Each case: a word, and the name of the server that has it for a name.
    let table = [
        ("a", "a"),
        ("a#b", "a#b"),
        ("a\"b'c", "a\"b'c"),
        (r"a\ b", "a b"),
        (r"a\;b\{c\}", "a;b{c}"),
        (r"\#a", "#a"),
        (r#"a\"b\\c"#, r#"a"b\c"#),
        (r"a\.b\dc", r"a\.b\dc"),
        ("a${b}c", "a${b}c"),
        ("'a b'", "a b"),
        ("'a;{}#\"'", "a;{}#\""),
        (r#""a\"b""#, "a\"b"),
        (r#""a\;b""#, r"a\;b"),
        ("'ü€'", "ü€"),
    ];
    for (word, name) in table {
        let text = format!("server {{ server_name {word}\n; }}");
        assert_eq!(loaded(&text).policy.servers[0].name, name, "{word}");
    }
    let blanks = "\u{feff}server\t{\r\n  server_name # comment ; }\r still\n a;}# end";
    assert_eq!(loaded(blanks).policy.servers[0].name, "a");
}

#[test]
fn no_server_means_one_for_every_port() {
    let text = "limit_conn a 3; limit_conn_zone x zone=a:1m;";
    let policy = loaded(text).policy;
    assert_eq!(policy.servers.len(), 1);
    let server = &policy.servers[0];
    assert_eq!((server.name.as_str(), server.listen.len()), ("default", 0));
    let limits: Vec<_> = server
        .limits
        .iter()
        .map(|it| (it.zone, it.number))
        .collect();
    assert_eq!(limits, [(0, 3)]);
}

#[test]
fn a_server_without_a_name_gets_one() {
    let text = "
        server { listen 80; }
        server { server_name 90; listen 100; }
        server { listen 90-90; listen 91; }
        server { server_name default; listen 101; }
        server { server_name server5; listen 102; }
        server { }
        server { listen [::1]:1-9; }";
    let servers = loaded(text).policy.servers;
    let names: Vec<_> = servers.iter().map(|server| server.name.as_str()).collect();
    let expected = [
        "80",
        "90",
        "server3",
        "default",
        "server5",
        "server6",
        "[::1]:1-9",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_specific_address_is_no_conflict_with_a_wildcard() {
    let text = "
        server { listen 443; listen 192.0.2.1:444; }
        server { listen 192.0.2.1:443; listen 444; listen 192.0.2.1:445-65535; }
        server { listen 0.0.0.0:443; listen [::]:443; listen 192.0.2.2:1-65535; }";
    assert_eq!(loaded(text).policy.servers.len(), 3);
}

#[test]
fn an_empty_key_is_no_key() {
    let zones = loaded("limit_conn_zone '' zone=a:1m; limit_conn a 1;")
        .policy
        .zones;
    assert!(zones[0].key.empty);
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let policy = loaded("").policy;
    assert_eq!(policy.error_log, ErrorLog::default());
    assert_eq!((policy.control, policy.attach.len()), (None, 0));
    let server = &policy.servers[0];
    assert_eq!((server.dry_run, server.log_level), (false, LogLevel::Error));
    assert_eq!((server.action, server.exempt.len()), (Action::Drop, 0));
    let zone = &loaded("limit_conn_zone $remote_addr zone=a:1m;")
        .policy
        .zones[0];
    assert_eq!(zone.prefixes, Prefixes { v4: 32, v6: 128 });
    assert_eq!(zone.on_full, OnFull::Reject);
    let log = loaded("error_log stderr;").policy.error_log;
    assert_eq!(log, ErrorLog::default());
}
