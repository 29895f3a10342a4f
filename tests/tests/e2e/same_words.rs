//! The same words in a file, as flags and as commands.

use ::limiter::{
    api::{PolicyStatus, ServerStatus},
    policy::{ActionKind, XdpMode},
};
use tests::{Limiter, World, limiter, process::run};

use crate::LIMIT_10;

#[test]
fn an_action_is_the_same_in_file_flag_and_command() {
    let world = World::new();
    let starts: [fn(&World) -> Limiter; 2] = [from_flags, from_file];
    for start in starts {
        let limiter = start(&world);
        let text = limiter.cli_ok(&["status"]);
        assert!(text.contains("close 1m30s"), "{text}");
        must_act(&limiter, ActionKind::Close, Some(90_000));

        limiter.cli_ok(&["action", "reset"]);
        must_act(&limiter, ActionKind::Reset, None);
        let text = limiter.cli_ok(&["action", "close", "delay=2s", "--server", "default"]);
        assert!(text.contains("close 2s"), "{text}");
        must_act(&limiter, ActionKind::Close, Some(2_000));
        let said = limiter.stderr();
        assert!(said.contains("action close, delay 2s"), "{said}");

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
fn check_shows_the_interfaces_and_what_it_prints_reads_back() {
    let world = World::new();
    let path = world.write(
        "limiter.conf",
        "attach interface eth0; attach interface veth1 mode=generic;
        limit_conn_zone $server_port zone=port:1m; limit_conn port 5;
        limit_conn_action close delay=90;
        limit_conn_zone $remote_addr zone=net:1m v4_prefix=24 v6_prefix=64 on_full=evict;
        limit_conn net 100; limit_conn_override net 192.0.2.0/24 5; limit_conn_exempt 10.0.0.0/8;
        server { listen 80; } server { limit_conn_exempt off; }",
    );
    let path = path.display().to_string();
    let policy = checked(&[&path]);
    let interfaces: Vec<_> = policy
        .interfaces
        .iter()
        .map(|it| (it.interface.as_str(), it.mode))
        .collect();
    let expected = [("eth0", XdpMode::Auto), ("veth1", XdpMode::Generic)];
    assert_eq!(interfaces, expected);
    assert!(policy.cgroups.is_empty());

    let written = world.write("written.conf", &check(&[&path]));
    let again = checked(&[&written.display().to_string()]);
    // It says the same, only elsewhere.
    assert_ne!(again.origins, policy.origins);
    let origins = policy.origins.clone();
    assert_eq!(PolicyStatus { origins, ..again }, policy);
}

#[test]
fn check_and_status_agree_about_a_zone_and_its_memory() {
    let world = World::new();
    let zones = ["32k", "1m", "3m", "10m"].map(|size| {
        format!(
            "limit_conn_zone $remote_addr zone={size}:{size} v4_prefix=24; limit_conn {size} 5;\n"
        )
    });
    let text = zones.concat();
    let path = world.write("check.conf", &text);
    let policy = checked(&[&path.display().to_string()]);
    let limiter = Limiter::start_config(&world, &text);
    let running = limiter.status().zones;
    assert_eq!((policy.zones.len(), running.len()), (4, 4));
    for (told, zone) in policy.zones.iter().zip(running) {
        assert_eq!((&told.zone, told.capacity), (&zone.zone, zone.capacity));
        assert_eq!((told.v4_prefix, told.v6_prefix), (Some(24), Some(128)));
        assert_eq!(
            (told.v4_prefix, told.v6_prefix),
            (zone.v4_prefix, zone.v6_prefix)
        );
        assert_eq!(told.on_full, zone.on_full);
        let (told, charged) = (told.memory_bytes, zone.memory_bytes);
        assert!(
            told.abs_diff(charged) * 50 < charged,
            "zone {}: {told} bytes told, {charged} charged",
            zone.zone
        );
    }
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
    let from_flags = limiter.status();
    assert_eq!(servers, from_flags.servers);
    drop(limiter);

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

fn checked(arguments: &[&str]) -> PolicyStatus {
    let json = check(&[&["--json"], arguments].concat());
    serde_json::from_str(&json).expect("JSON")
}

fn check(arguments: &[&str]) -> String {
    let mut command = limiter::command();
    command.arg("check").args(arguments);
    let output = run(command, None);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stdout
}
