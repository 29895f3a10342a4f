//! What `limiter check` prints.

use ::limiter::{api::PolicyStatus, policy::XdpMode};
use tests::{Limiter, World, limiter, process::run};

use crate::bad_config::{must_say, plain};

#[test]
fn check_accepts_the_whole_grammar_and_prints_the_effective_policy() {
    let world = World::new();
    world.write(
        "zones.conf",
        "limit_conn_zone $server_name zone=server:512k;\n",
    );
    let path = world.write(
        "good.conf",
        "# comments and quotes
        stream {
            error_log stderr notice;
            limit_conn_zone \"$binary_remote_addr$server_port\" zone=addr:10m;
            include zones.conf;
            limit_conn_zone $remote_addr zone=net:64k v4_prefix=24 v6_prefix=48 on_full=evict;
            limit_conn addr 20; limit_conn net 500;
            limit_conn_override addr 198.51.100.0/24 200;
            limit_conn_exempt 10.0.0.0/8 ::1;
            limit_conn_log_level warn;
            limit_conn_action reset;
            attach interface eth0 mode=native;
            server { server_name web; listen 443; listen 127.0.0.1:8000-8010; listen [::1]:80; limit_conn server 100; }
            server { listen 22; limit_conn_dry_run on; limit_conn_action close delay=90; }
        }
        ",
    );
    let mut command = limiter::command();
    command.arg("check").arg(&path);
    let output = run(command, None);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for word in [
        "addr",
        "server",
        "web",
        "443",
        "8000-8010",
        "[::1]:80",
        "22",
        "limit_conn_action reset;",
        "limit_conn_action close delay=1m30s;",
        "attach interface eth0 mode=native;",
        "zone=net:64k v4_prefix=24 v6_prefix=48 on_full=evict;",
        "limit_conn_override addr 198.51.100.0/24 200;",
        "limit_conn_exempt 10.0.0.0/8;",
        "limit_conn_exempt ::1/128;",
    ] {
        assert!(output.stdout.contains(word), "{word}: {}", output.stdout);
    }
    // Where it comes from.
    for (value, origin) in [
        ("limit_conn server 100;", "good.conf:13"),
        ("limit_conn_exempt ::1/128;", "inherited from "),
        ("limit_conn_override addr", "good.conf:8"),
        ("zone=server:512k", "zones.conf:1"),
        ("error_log stderr notice;", "good.conf:3"),
        ("server_name 22;", "# default"),
    ] {
        let mut lines = output.stdout.lines();
        let line = lines.find(|line| line.contains(value));
        let line = line.unwrap_or_else(|| panic!("{value}: {}", output.stdout));
        assert!(line.contains(origin), "{origin}: {line}");
    }
}

#[test]
fn check_warns_on_standard_error_and_run_leaves_out_the_advice() {
    let world = World::new();
    let text = "limit_conn_zone $binary_remote_addr zone=addr:32k;
        limit_conn_zone $server_port zone=port:32k;
        limit_conn addr 600;\n";
    let path = world.write("limiter.conf", text);
    let unused = "zone \"port\" is not used";
    let few = "600 connections, but zone \"addr\" has room for 512";
    let singly = "counts IPv6 clients singly";
    let mut command = limiter::command();
    command.arg("check").arg(&path);
    let output = run(command, None);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    must_say(
        "check",
        &output.stderr,
        &[unused, few, singly, "v6_prefix=64"],
    );
    assert!(!output.stdout.contains("not used"), "{}", output.stdout);

    let limiter = Limiter::start_config(&world, text);
    limiter.must_say(unused);
    limiter.must_say(few);
    let said = limiter.stderr();
    assert!(!plain(&said).contains(singly), "{said}");
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
        server { listen 80; } server { limit_conn_exempt off; limit_conn_override off; }",
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

    let text = check(&[&path]);
    assert_eq!(text.matches("limit_conn_override").count(), 2, "{text}");
    let written = world.write("written.conf", &text);
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
