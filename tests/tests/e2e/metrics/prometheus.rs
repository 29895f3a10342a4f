//! What Prometheus is told, and what becomes of it in a real one.

use tests::{
    Limiter, World, port,
    prometheus::{self, Prometheus, promtool, samples},
    settle,
};

use super::metrics;
use crate::{CLIENT, SERVER};

const CONFIG: &str = "
metrics 9145;
limit_conn_zone $binary_remote_addr zone=addr:1m;
limit_conn_zone $server_name zone=perserver:64k;
server { server_name web; listen 8080; limit_conn addr 3; limit_conn perserver 100; }
server { server_name slow; listen 8081; limit_conn addr 1; limit_conn_action close delay=1h; }
server { server_name idle; listen 8082; limit_conn_dry_run on; limit_conn perserver 5; }
";

fn told(world: &World) -> String {
    port::get(&world.netns, metrics(), "/metrics").body
}

/// One value of what is told.
#[track_caller]
fn value(world: &World, series: &str) -> f64 {
    let told = samples(&told(world));
    let value = told.get(series).copied();
    value.unwrap_or_else(|| panic!("{series} is not in {told:#?}"))
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let more = format!("metrics_top 10; metrics_run_time on; {CONFIG}");
    let limiter = Limiter::start_config(&world, &more);
    let _open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    for text in [told(&world), limiter.http("GET", "/metrics", None).body] {
        for name in ["limiter_key_connections{", "limiter_program_runs_total{"] {
            assert!(text.contains(name), "{name}: {text}");
        }
        let path = world.write("metrics.txt", &text);
        assert_eq!(promtool(&["check", "metrics"], Some(&path)), "");
    }
}

#[test]
fn a_real_prometheus_has_the_numbers_of_the_status() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start_config(&world, &format!("metrics_top 2; {CONFIG}"));
    let prometheus = Prometheus::start(&world, metrics(), None);
    let _open = world.open_many(CLIENT, server.address(), 3);
    let _few = world.open_many("127.0.0.6", server.address(), 2);
    let _none = world.open("127.0.0.7", server.address());
    world.must_be_refused(CLIENT, server.address());
    let slow = "127.0.0.1:8081".parse().expect("an address");
    let _waits = world.must_wait(CLIENT, slow);

    // Nothing happens any more. What the daemon itself takes changes all the time.
    let steady = |told: Vec<(String, f64)>| -> Vec<(String, f64)> {
        let told = told.into_iter();
        told.filter(|(name, _)| name.starts_with("limiter_"))
            .collect()
    };
    let expected = || steady(samples(&told(&world)).into_iter().collect());
    settle("both refusals are told", 2.0, || {
        let told = samples(&told(&world));
        let of = |zone: &str| {
            format!(
                "limiter_zone_attempts_total{{reason=\"limit\",status=\"REJECTED\",zone=\"{zone}\"}}"
            )
        };
        told[&of("addr")]
    });
    assert!(expected().len() > 50);
    settle("the same is in the database", true, || {
        let stored = prometheus.query(&world, "{__name__=~\"limiter_.*\"}");
        let stored = stored
            .iter()
            .map(|(metric, value)| (prometheus::series(metric), *value));
        let mut stored = steady(stored.collect());
        stored.sort_by(|one, other| one.0.cmp(&other.0));
        stored == expected()
    });

    let status = limiter.status();
    let ask = |expression: &str| prometheus.value(&world, expression);
    for zone in &status.zones {
        for (expression, value) in [
            ("limiter_zone_connections", zone.connections),
            ("limiter_zone_keys", zone.keys),
            ("limiter_zone_capacity_keys", zone.capacity),
            ("limiter_zone_memory_bytes", zone.memory_bytes),
            ("limiter_zone_skipped_total", zone.skipped),
            ("limiter_zone_syn_retransmits_total", zone.syn_retransmits),
            (
                "sum by (zone) (limiter_zone_attempts_total)",
                zone.passed + zone.rejected,
            ),
        ] {
            let of_zone = format!(
                "({expression}) and on (zone) limiter_zone_info{{zone=\"{}\"}}",
                zone.zone
            );
            assert_eq!(ask(&of_zone), Some(value as f64), "{of_zone}");
        }
    }
    assert_eq!(ask("limiter_waiting_connections"), Some(1.0));
    assert_eq!(ask("changes(limiter_ready_time_seconds[1m])"), Some(0.0));
    assert_eq!(ask("limiter_server_dry_run{server=\"idle\"}"), Some(1.0));
    assert_eq!(
        ask("limiter_events_sent_total"),
        Some(status.events.sent as f64)
    );
    assert_eq!(
        ask("max(limiter_key_connections{remote_addr=\"127.0.0.5\"})"),
        Some(3.0)
    );
    assert_eq!(
        ask("count(limiter_key_connections{zone=\"addr\"})"),
        Some(2.0)
    );
    let version = format!("limiter_build_info{{version=\"{}\"}}", status.version);
    assert_eq!(ask(&version), Some(1.0));
    assert_eq!(ask("count(process_resident_memory_bytes > 0)"), Some(1.0));
}

#[test]
fn single_keys_are_told_only_if_and_as_many_as_asked_for() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, CONFIG);
    let clients: Vec<_> = (1..=9).map(|last| format!("127.0.1.{last}")).collect();
    let _open: Vec<_> = clients
        .iter()
        .map(|from| world.open(from, server.address()))
        .collect();
    let keys = |family: &str| {
        let told = samples(&told(&world));
        let names = told.keys().filter(|name| name.starts_with(family));
        names.filter(|name| name.contains("zone=\"addr\"")).count()
    };
    assert_eq!(keys("limiter_key_"), 0);
    limiter.reload(&world, &format!("metrics_top 4; {CONFIG}"));
    assert_eq!(
        (
            keys("limiter_key_connections"),
            keys("limiter_key_rejected")
        ),
        (4, 4)
    );
    limiter.reload(&world, &format!("metrics_top 1000; {CONFIG}"));
    assert_eq!(keys("limiter_key_connections"), 9);
    limiter.reload(&world, CONFIG);
    assert_eq!(keys("limiter_key_"), 0);
}

#[test]
fn runs_are_measured_only_if_asked_for() {
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start_config(&world, CONFIG);
    assert!(!told(&world).contains("limiter_program"));
    limiter.reload(&world, &format!("metrics_run_time on; {CONFIG}"));
    let runs = |program: &str| {
        let of = |name: &str| {
            value(
                &world,
                &format!("limiter_program_{name}{{program=\"{program}\"}}"),
            )
        };
        (of("runs_total"), of("run_seconds_total"))
    };
    let before = runs("limiter_count");
    let _open = world.open_many(CLIENT, server.address(), 3);
    settle("establishments are measured", true, || {
        let (count, seconds) = runs("limiter_count");
        count >= before.0 + 3.0 && seconds > before.1 && seconds < 1.0
    });
    assert!(runs("limiter_enforce").0 >= 6.0, "a SYN and an ACK each");
    let slow = "127.0.0.1:8081".parse().expect("an address");
    let _waits = world.must_wait(CLIENT, slow);
    for program in ["limiter_divert", "limiter_refuse", "limiter_wait"] {
        let (count, seconds) = runs(program);
        assert!(count > 0.0 && seconds > 0.0, "{program}");
    }
    limiter.reload(&world, CONFIG);
    assert!(!told(&world).contains("limiter_program"));
}
