//! Policies change under 50 000 open connections while others come and go.

use std::{
    net::{IpAddr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use tests::{
    Limiter, Server, World,
    churn::{Churn, Ending, churn},
    client, settle,
    settle::PATIENCE,
    tun::Tun,
    world::address,
};

const CROWD: u64 = 50_000;
/// Of each of six servers; nobody accepts, so that no process needs so many descriptors.
const EACH: u16 = (CROWD / 6 + 1) as u16;
const CROWDED: [&str; 6] = [
    "10.0.0.1:8000",
    "10.0.0.1:8001",
    "10.0.0.1:8002",
    "10.0.0.1:8003",
    "10.0.0.1:8004",
    "10.0.0.1:8005",
];
const BUSY: &str = "127.0.0.1:8080";
const STORMED: &str = "127.0.0.1:8081";
/// Connections that each client of the stormed server may have.
const LIMIT: usize = 10;
const PAUSE: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(30);

/// Turn by turn, whatever a policy can have otherwise: each time numbers and the order of servers,
/// every third time sizes, keys, and who is counted at all. The limits of those who come and go
/// stay.
fn config(turn: usize) -> String {
    let (number, turn) = (60_000 - turn % 3, turn / 3);
    let key = ["$binary_remote_addr", "$server_port", "$server_name"][turn / 2 % 3];
    let mut servers = vec![
        "server { server_name busy; listen 8080; limit_conn addr 6; limit_conn all 60000; }"
            .to_owned(),
        "server { server_name stormed; listen 8081; limit_conn strict 10; limit_conn all 60000; }"
            .to_owned(),
    ];
    // For one turn nothing is known of the crowd, or a part of it is exempt.
    if turn % 10 != 3 {
        let exempt = match turn % 10 {
            7 => "limit_conn_exempt 10.1.0.0/20;",
            _ => "",
        };
        servers.push(format!(
            "server {{ server_name crowded; listen 8000-8005; {exempt}
            limit_conn crowd {number}; limit_conn all {number}; }}"
        ));
    }
    let first = number % servers.len();
    servers.rotate_left(first);
    format!(
        "limit_conn_zone $binary_remote_addr zone=addr:{}m;
        limit_conn_zone $binary_remote_addr zone=strict:{}m;
        limit_conn_zone $binary_remote_addr zone=crowd:{}m;
        limit_conn_zone {key} zone=all:2m;
        {}",
        1 + turn % 3,
        1 + turn / 3 % 2,
        2 + turn / 5 % 2,
        servers.join("\n")
    )
}

#[test]
fn nobody_is_refused_wrongly_or_let_in_over_the_limit_while_policies_change() {
    let _heavy = crate::heavy();
    let world = World::new();
    world
        .netns
        .sysctl("net/ipv4/ip_local_port_range", "1024 65535");
    let tun = Tun::new(&world.netns, [10, 0, 0, 1].into(), 8);
    let options = ["--paused", "--backlog", "16384"];
    let _crowded = Server::start_in(&world, Some(&world.cgroup), &CROWDED, &options);
    let _busy = world.serve(&[BUSY]);
    let _stormed = world.serve(&[STORMED]);
    let limiter = Limiter::start_config(&world, &config(0));
    for server in CROWDED {
        tun.connect_each(EACH, server.parse().expect("literal"));
    }
    let crowd = u64::from(EACH) * 6;
    settle("the crowd", crowd, || limiter.zone("crowd").connections);

    let done = AtomicBool::new(false);
    let (turns, done_by_churn, most) = thread::scope(|scope| {
        let churn = scope.spawn(|| world.netns.run(|| come_and_go(&done)));
        let storm = scope.spawn(|| world.netns.run(|| storm(&done)));
        let end = Instant::now() + LONG;
        let mut turn = 0;
        while Instant::now() < end {
            turn += 1;
            let begin = Instant::now();
            limiter.reload(&world, &config(turn));
            thread::sleep(PAUSE.saturating_sub(begin.elapsed()));
        }
        // The last one has everything.
        limiter.reload(&world, &config(0));
        done.store(true, Relaxed);
        (
            turn,
            churn.join().expect("those who come and go"),
            storm.join().expect("the storm"),
        )
    });
    eprintln!("{turns} policies, {done_by_churn} connections came and went, {most} at once");
    assert!(turns >= 20, "{turns}");
    assert!(done_by_churn > 1_000, "{done_by_churn}");
    assert_eq!(most, LIMIT, "they got what they may have, and never more");

    settle("connections", (0, 0), || {
        (
            limiter.zone("addr").connections,
            limiter.zone("strict").connections,
        )
    });
    let (addr, strict) = (limiter.zone("addr"), limiter.zone("strict"));
    assert_eq!(
        (addr.passed, addr.rejected, addr.exhausted, addr.untracked),
        (done_by_churn, 0, 0, 0)
    );
    assert!(strict.rejected > 0);
    let open: u64 = (8000..=8005).map(|port| world.open_at(port)).sum();
    assert_eq!(open, crowd);
    assert_eq!(limiter.zone("crowd").connections, open);
    assert_eq!(limiter.zone("crowd").keys, u64::from(EACH));
    assert_eq!(limiter.zone("all").connections, open);
    for zone in ["addr", "strict", "crowd", "all"] {
        limiter.must_be_exact(zone);
    }
}

/// Never more than six at a time, so nobody may be refused: it would take a second.
fn come_and_go(done: &AtomicBool) -> u64 {
    let mut count = 0;
    while !done.load(Relaxed) {
        let plan = Churn {
            connections: 500,
            threads: 2,
            from: (1..=4).map(|n| [127, 0, 2, n].into()).collect(),
            to: vec![BUSY.parse().expect("literal")],
            endings: Ending::ALL.to_vec(),
            patience: PATIENCE,
        };
        let report = churn(&plan);
        assert_eq!(report.failures, Vec::<String>::new());
        count += report.done;
    }
    count
}

/// As many as come in, over and over. Returns how many there were at the most.
fn storm(done: &AtomicBool) -> usize {
    let (from, to): (IpAddr, SocketAddr) =
        (address("127.0.3.1"), STORMED.parse().expect("literal"));
    let mut most = 0;
    while !done.load(Relaxed) {
        let mut open: Vec<TcpStream> = Vec::new();
        while open.len() <= LIMIT && !done.load(Relaxed) {
            match client::open_here(from, to, Duration::from_millis(50)) {
                Ok(stream) => open.push(stream),
                Err(_) if open.len() < LIMIT => {}
                // Again and again, while policies change.
                Err(_) if most == LIMIT && open.len() == LIMIT => {
                    let more = (0..10)
                        .find_map(|_| client::open_here(from, to, Duration::from_millis(50)).ok());
                    open.extend(more);
                    break;
                }
                Err(_) => break,
            }
            most = most.max(open.len());
        }
        most = most.max(open.len());
        for stream in open {
            client::reset(stream).expect("reset");
        }
    }
    most
}
