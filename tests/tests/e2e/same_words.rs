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
        limit_conn_action close delay=90;",
    );
    let check = |arguments: &[&str]| {
        let mut command = limiter::command();
        command.arg("check").args(arguments);
        let output = run(command, None);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        output.stdout
    };
    let path = path.display().to_string();
    let json = check(&["--json", &path]);
    let policy: PolicyStatus = serde_json::from_str(&json).expect("JSON");
    let interfaces: Vec<_> = policy
        .interfaces
        .iter()
        .map(|it| (it.interface.as_str(), it.mode))
        .collect();
    let expected = [("eth0", XdpMode::Auto), ("veth1", XdpMode::Generic)];
    assert_eq!(interfaces, expected);
    assert!(policy.cgroups.is_empty());

    let written = world.write("written.conf", &check(&[&path]));
    assert_eq!(check(&["--json", &written.display().to_string()]), json);
}
