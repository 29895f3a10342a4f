//! Under load, everybody tells the same numbers: nginx's API, Prometheus, the status, the kernel's map.

use std::{
    collections::VecDeque,
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use limiter::api::ZoneStatus;
use limiter_common::counters::ZoneCounters;
use tests::{
    Limiter, World,
    churn::{Churn, Ending, churn},
    http::Response,
    pinned::Pinned,
    port,
    prometheus::{Prometheus, samples},
    settle,
    world::address,
};

use super::metrics;
use crate::{SERVER, ZONE, heavy};

const CONFIG: &str = "
metrics 9145;
limit_conn_zone $binary_remote_addr zone=addr:64k;
limit_conn addr 4;
server { listen 8080; limit_conn_exempt 127.0.0.9; }
server { listen 8081; limit_conn_dry_run on; }
";

/// What everybody counts, in one order.
type Counts = [f64; 6];

fn of_status(zone: &ZoneStatus) -> Counts {
    [
        zone.passed as f64,
        zone.skipped as f64,
        zone.rejected as f64,
        zone.rejected_dry_run as f64,
        zone.syn_retransmits as f64,
        zone.connections as f64,
    ]
}

const API: &str = "/api/9/stream/limit_conns/addr";

fn of_api(answer: &Response) -> Counts {
    let zone = answer.json();
    [
        "passed",
        "skipped",
        "rejected",
        "rejected_dry_run",
        "syn_retransmits",
        "connections",
    ]
    .map(|name| zone[name].as_f64().expect("a number"))
}

const SERIES: [&str; 6] = [
    "limiter_zone_attempts_total{reason=\"none\",status=\"PASSED\",zone=\"addr\"}",
    "limiter_zone_skipped_total{zone=\"addr\"}",
    "limiter_zone_attempts_total{reason=\"limit\",status=\"REJECTED\",zone=\"addr\"}",
    "limiter_zone_attempts_total{reason=\"limit\",status=\"REJECTED_DRY_RUN\",zone=\"addr\"}",
    "limiter_zone_syn_retransmits_total{zone=\"addr\"}",
    "limiter_zone_connections{zone=\"addr\"}",
];

fn of_metrics(world: &World) -> Counts {
    let told = samples(&port::get(&world.netns, metrics(), "/metrics").body);
    SERIES.map(|series| told[series])
}

fn of_prometheus(world: &World, prometheus: &Prometheus) -> Counts {
    SERIES.map(|series| prometheus.value(world, series).unwrap_or(f64::NAN))
}

/// The first zone of a fresh limiter has the first index. (Counters were never reset.)
fn of_kernel(limiter: &Limiter) -> Counts {
    const WORDS: usize = size_of::<ZoneCounters>() / size_of::<u64>();
    let pinned = limiter.status().pinned.expect("it is pinned");
    let map = Pinned::open(&Path::new(&pinned).join("maps/ZONE_COUNTERS"));
    let cpus = limiter::kernel::possible_cpus().expect("the CPUs of this machine");
    let bytes = map.value(WORDS * size_of::<u64>() * usize::try_from(cpus).expect("fits"));
    let mut sums = [0_u64; WORDS];
    for (position, word) in bytes.chunks_exact(size_of::<u64>()).enumerate() {
        sums[position % WORDS] += u64::from_ne_bytes(word.try_into().expect("eight bytes"));
    }
    let counters = ZoneCounters::from_array(sums);
    [
        counters.passed,
        counters.skipped,
        counters.rejected,
        counters.rejected_dry_run,
        counters.syn_retransmits,
        counters.opened - counters.closed,
    ]
    .map(|count| count as f64)
}

/// Connections that open and end, some of them over the limit, some exempt, some in dry run.
fn load(connections: u64) -> Churn {
    Churn {
        connections,
        threads: 12,
        from: ["127.0.0.5", "127.0.0.6", "127.0.0.9"]
            .map(address)
            .to_vec(),
        to: [SERVER, "127.0.0.1:8081"]
            .map(|it| it.parse::<SocketAddr>().expect("an address"))
            .to_vec(),
        endings: Ending::ALL.to_vec(),
        patience: Duration::from_millis(300),
    }
}

#[test]
fn everybody_tells_the_same_numbers_and_a_reset_spares_connections() {
    let _heavy = heavy();
    let world = World::new();
    let server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start_config(&world, CONFIG);
    let prometheus = Prometheus::start(&world, metrics(), None);
    let open = world.open_many("127.0.0.5", server.address(), 3);
    let full = world.open_many("127.0.0.6", server.address(), 4);

    let own = || limiter.http("GET", API, None);
    let public = || port::get(&world.netns, metrics(), API);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Somebody asks all the time, and nobody is disturbed.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                of_api(&public());
                of_api(&own());
                let told = of_metrics(&world);
                assert!(told[5] >= 7.0, "connections that stay open");
            }
        });
        world.netns.run(|| churn(&load(600)));
        world.must_be_refused("127.0.0.6", server.address());
        done.store(true, Ordering::Relaxed);
    });
    settle("what the load has opened is closed", 7, || {
        limiter.zone(ZONE).connections
    });
    // Late packets of those that were refused.
    settle("nothing is counted any more", true, || {
        let before = of_kernel(&limiter);
        thread::sleep(Duration::from_millis(1_500));
        of_kernel(&limiter) == before
    });
    let kernel = of_kernel(&limiter);
    let [passed, skipped, rejected, ..] = kernel;
    assert!(
        passed > 50.0 && skipped > 50.0 && rejected > 1.0,
        "{kernel:?}"
    );
    assert_eq!(of_status(&limiter.zone(ZONE)), kernel, "status");
    assert_eq!(of_api(&own()), kernel, "nginx's API");
    assert_eq!(of_api(&public()), kernel, "nginx's API at the port");
    assert_eq!(of_metrics(&world), kernel, "/metrics");
    settle("Prometheus", kernel, || of_prometheus(&world, &prometheus));
    limiter.must_be_exact(ZONE);

    let zero = [0.0, 0.0, 0.0, 0.0, 0.0, 7.0];
    let answer = limiter.http("DELETE", API, None);
    assert_eq!(answer.status, 204);
    for (counts, what) in [
        (of_status(&limiter.zone(ZONE)), "status"),
        (of_api(&own()), "nginx's API"),
        (of_api(&public()), "nginx's API at the port"),
        (of_metrics(&world), "/metrics"),
    ] {
        assert_eq!(counts, zero, "{what} after a DELETE");
    }
    assert_eq!(of_kernel(&limiter), kernel, "the kernel counts on");
    settle("Prometheus", zero, || of_prometheus(&world, &prometheus));

    world.must_be_refused("127.0.0.6", server.address());
    settle("counts go on", true, || of_metrics(&world)[2] >= 1.0);
    limiter.cli_ok(&["reset"]);
    assert_eq!(of_metrics(&world)[2], 0.0);
    assert_eq!(of_api(&own())[5], 7.0);
    let status = limiter.zone(ZONE);
    assert_eq!((status.connections, status.keys), (7, 2));
    drop((open, full));
    settle("they are closed", 0, || limiter.zone(ZONE).connections);
    assert_eq!(of_metrics(&world)[5], 0.0);
}

#[test]
fn a_flood_of_clients_at_the_port_stops_neither_scrapes_nor_commands() {
    let _heavy = heavy();
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, CONFIG);
    let prometheus = Prometheus::start(&world, metrics(), None);
    settle("it is scraped", Some(1.0), || {
        prometheus.value(&world, "up")
    });
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Silent ones, slow ones, and some that go in the middle of a request.
        for part in [&b""[..], b"GET /met", b"GET /metrics HTTP/1.1\r\nx: y\r\n"] {
            let (world, done) = (&world, &done);
            scope.spawn(move || {
                let mut held = VecDeque::new();
                while !done.load(Ordering::Relaxed) {
                    // As fast as they come, but not faster than the kernel makes them.
                    if let Ok(mut stream) = port::connect(&world.netns, metrics()) {
                        let _ = stream.write_all(part);
                        held.push_back(stream);
                    }
                    if held.len() > 300 {
                        held.pop_front();
                    }
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(limiter.http("GET", "/status", None).status, 200);
            limiter.cli_ok(&["limit", ZONE, "4"]);
            thread::sleep(Duration::from_millis(100));
        }
        let _open = world.open_many("127.0.0.5", server.address(), 4);
        world.must_be_refused("127.0.0.5", server.address());
        let scraped = "sum(limiter_zone_attempts_total{status=\"REJECTED\"})";
        settle("what happens is scraped meanwhile", Some(1.0), || {
            prometheus.value(&world, scraped)
        });
        done.store(true, Ordering::Relaxed);
    });
    settle("it is scraped again", Some(1.0), || {
        prometheus.value(&world, "up")
    });
}
