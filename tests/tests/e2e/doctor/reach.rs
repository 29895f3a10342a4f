//! What can be seen without rights, in other namespaces, and with a daemon.

use ::limiter::api::doctor::{Cause, Confidence, DoctorReport, Level};
use tests::{
    Limiter, Server, User, World, client, limiter, process::run, settle, settle::PATIENCE, user,
    world::address,
};

use super::{examine, must_say};
use crate::{CLIENT, SERVER};

#[test]
fn without_rights_it_reports_what_it_can_see_and_says_what_not() {
    let world = World::new();
    let mut server = Server::start(&world, &[SERVER], &["--hold"]);
    let leaked = world.open_many(CLIENT, server.address(), 40);
    for stream in &leaked {
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("shut down");
    }
    settle("open", 40, || server.stat().open);
    let binary = user::open_world(&world);
    let nobody = User::new(65_534, &[]);
    let arguments = ["doctor", "--interval", "500ms", "--json"];
    let control = world.control();
    let output = world
        .netns
        .run(|| nobody.cli(&binary, &control, &arguments));
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let report: DoctorReport = serde_json::from_str(&output.stdout).expect("a report");
    let listener = must_say(&report, Level::Warning, Cause::NotClosed, Confidence::High);
    assert_eq!(listener.states.close_wait, 40);
    assert!(listener.pids.is_empty() && report.processes.is_empty());
    let unseen = report.unseen.join("\n");
    assert!(unseen.contains("run it as root"), "{unseen}");

    let output = world
        .netns
        .run(|| nobody.cli(&binary, &control, &["doctor", "--interval", "500ms"]));
    assert!(
        output
            .stdout
            .contains("not seen: whose 1 of the listeners are"),
        "{}",
        output.stdout
    );
    // It cannot go elsewhere, and says so.
    let id = server.id().to_string();
    let output = nobody.cli(
        &binary,
        &control,
        &["doctor", "--interval", "100ms", "--pid", &id],
    );
    assert_eq!((output.code, output.stdout.as_str()), (Some(3), ""));
    assert!(
        output.stderr.contains("nobody listens there"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_process_is_looked_at_in_its_own_network() {
    let world = World::new();
    let server = Server::start(&world, &[SERVER], &[]);
    let _other = world.serve(&["127.0.0.1:8081"]);
    let _open = world.open_many(CLIENT, server.address(), 3);
    let id = server.id().to_string();
    let mut command = limiter::command();
    command
        .args(["doctor", "--json", "--interval", "100ms", "--pid", &id])
        .arg("--control")
        .arg(world.control());
    // From outside.
    let output = run(command, None);
    assert_eq!(output.code, Some(0), "{} {}", output.stdout, output.stderr);
    let report: DoctorReport = serde_json::from_str(&output.stdout).expect("a report");
    assert_eq!(report.listeners.len(), 1);
    assert_eq!(report.listeners[0].listen, server.address());
    assert_eq!(report.listeners[0].states.established, 3);
    assert_eq!(report.processes.len(), 1);
}

#[test]
fn a_daemon_tells_of_zones_without_room_and_keys_at_their_limit() {
    const CONFIG: &str = "
limit_conn_zone $binary_remote_addr zone=addr:64k;
limit_conn_zone $server_name zone=all:64k;
server { server_name web; listen 8080; limit_conn addr 3; limit_conn all 5000; }
";
    let world = World::new();
    let server = world.serve(&[SERVER]);
    assert_eq!(examine(&world, &[]).limits, None);
    let limiter = Limiter::start_config(&world, CONFIG);
    let _full = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    let report = examine(&world, &[]);
    assert_eq!(report.verdict.level, Level::Healthy, "{report:#?}");
    let limits = report.limits.expect("the daemon says");
    let zone = &limits.zones[0];
    assert_eq!((zone.zone.as_str(), zone.keys), ("addr", 1));
    let key = &zone.at_limit[0];
    assert_eq!(
        (key.key.as_str(), key.connections, key.limit, key.rejected),
        (CLIENT, 3, 3, 1)
    );
    assert!(limits.zones[1].at_limit.is_empty());

    let capacity = zone.capacity;
    let to = server.address();
    let _many: Vec<_> = world.netns.run(|| {
        (0..capacity * 9 / 10)
            .map(|n| address(&format!("127.1.{}.{}", n / 250, n % 250 + 1)))
            .map(|from| client::open_here(from, to, PATIENCE).expect("connect"))
            .collect()
    });
    let report = examine(&world, &[]);
    let verdict = &report.verdict;
    assert_eq!(
        (verdict.level, verdict.cause),
        (Level::Warning, Cause::ZoneFull),
        "{report:#?}"
    );
    assert!(verdict.summary.contains("zone addr"), "{}", verdict.summary);
    let line = verdict.advice[0].line.as_deref();
    assert_eq!(line, Some("zone=addr:1m"));
    limiter.cli_ok(&["status"]);
}
