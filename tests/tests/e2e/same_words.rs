//! The same words in a file, as flags and as commands.

use ::limiter::{api::ServerStatus, policy::ActionKind};
use tests::{Limiter, World};

use crate::LIMIT_10;

#[test]
fn an_action_is_the_same_in_file_flag_and_command() {
    let world = World::new();
    let starts: [fn(&World) -> Limiter; 2] = [from_flags, from_file];
    for start in starts {
        let limiter = start(&world);
        let text = limiter.cli_ok(&["status"]);
        assert!(text.contains("close delay=1m30s"), "{text}");
        must_act(&limiter, ActionKind::Close, Some(90_000));

        limiter.cli_ok(&["action", "reset"]);
        must_act(&limiter, ActionKind::Reset, None);
        let text = limiter.cli_ok(&["action", "close", "delay=2s", "--server", "default"]);
        assert!(text.contains("close delay=2s"), "{text}");
        must_act(&limiter, ActionKind::Close, Some(2_000));
        limiter.must_say("action close, delay 2s");

        let text = limiter.cli_ok(&["action", "close", "--json"]);
        let servers: Vec<ServerStatus> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(servers, limiter.status().servers);
        must_act(&limiter, ActionKind::Close, Some(0));
        limiter.cli_ok(&["action", "drop"]);
        must_act(&limiter, ActionKind::Drop, None);
    }
}

fn from_flags(world: &World) -> Limiter {
    let action = ["--action", "close", "delay=1m30s"];
    Limiter::start(world, &[&LIMIT_10[..], &action].concat())
}

fn from_file(world: &World) -> Limiter {
    let text = "limit_conn_zone $binary_remote_addr zone=addr:1m;
        limit_conn addr 10; limit_conn_action close delay=1m30s;
        server { server_name default; listen 8080; }";
    Limiter::start_config(world, text)
}

#[track_caller]
fn must_act(limiter: &Limiter, action: ActionKind, delay_ms: Option<u32>) {
    let server = &limiter.status().servers[0];
    assert_eq!((server.action, server.delay_ms), (action, delay_ms));
}

#[test]
fn prefixes_and_what_is_exempt_are_the_same_in_file_flag_and_command() {
    let world = World::new();
    let flags = [
        &LIMIT_10[..],
        &[
            "--v4-prefix",
            "24",
            "--v6-prefix",
            "64",
            "--on-full",
            "reject",
        ],
    ];
    let limiter = Limiter::start(&world, &flags.concat());
    limiter.cli_ok(&["exempt", "add", "192.0.2.0/24"]);
    limiter.cli_ok(&["exempt", "add", "10.0.0.0/8"]);
    let text = limiter.cli_ok(&[
        "exempt",
        "add",
        "10.0.0.0/8",
        "--server",
        "default",
        "--json",
    ]);
    let servers: Vec<ServerStatus> = serde_json::from_str(&text).expect("JSON");
    let mut from_flags = limiter.status();
    assert_eq!(servers, from_flags.servers);
    drop(limiter);
    // That it was not there at the start is the difference.
    assert_eq!(from_flags.servers[0].changed.len(), 2);
    from_flags.servers[0].changed.clear();

    let text = "limit_conn_zone $binary_remote_addr zone=addr:10m v4_prefix=24 v6_prefix=64;
        limit_conn addr 10; limit_conn_exempt 192.0.2.0/24; limit_conn_exempt 10.0.0.0/8;
        server { server_name default; listen 8080; }";
    let limiter = Limiter::start_config(&world, text);
    let from_file = limiter.status();
    assert_eq!(from_flags.servers, from_file.servers);
    assert_eq!(from_flags.zones, from_file.zones);
    let text = limiter.cli_ok(&["status"]);
    assert!(text.contains("192.0.2.0/24, 10.0.0.0/8"), "{text}");
    let text = limiter.cli_ok(&["zones", "addr"]);
    assert!(text.contains("IPv4 /24, IPv6 /64"), "{text}");
}
