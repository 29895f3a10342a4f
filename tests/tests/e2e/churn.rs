//! Connections that come and go as fast as they can.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
};

use tests::{
    Limiter, Server, World,
    churn::{Churn, Ending, churn},
    client, programs,
    random::{Random, seed},
    serve, settle,
    settle::{PATIENCE, poll},
    sockdiag,
};

use crate::{CLIENT, LIMIT_10, PORT, SERVER, ZONE};

#[test]
fn after_a_hundred_thousand_short_connections_the_count_is_zero() {
    const CONNECTIONS: u64 = 100_000;
    let _heavy = crate::heavy();
    let world = World::new();
    let listen = [SERVER, "127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8083"];
    let mut server = world.serve(&listen);
    let limiter = Limiter::start(&world, &["--listen", "8080-8083", "--limit", "60000"]);
    let plan = Churn {
        connections: CONNECTIONS,
        threads: 4,
        from: (1..=16).map(|n| [127, 0, 1, n].into()).collect(),
        to: listen.map(|at| at.parse().expect("literal")).to_vec(),
        endings: Ending::ALL.to_vec(),
        patience: PATIENCE,
    };
    let report = world.netns.run(|| churn(&plan));
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.done, CONNECTIONS);

    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(server.stat().accepted, CONNECTIONS);
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (
            zone.passed,
            zone.rejected,
            zone.exhausted,
            zone.excess,
            zone.keys
        ),
        (CONNECTIONS, 0, 0, 0, 0)
    );
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_client_with_at_most_six_open_is_never_refused_however_fast_it_reopens() {
    never_refused(&LIMIT_10, 0);
}

/// Six connections at a time of one client that may have ten, with a limiter that has so many programs
/// at look-ups of listeners.
pub(crate) fn never_refused(flags: &[&str], lookups: u32) {
    const CONNECTIONS: u64 = 20_000;
    let _heavy = crate::heavy();
    let world = World::new();
    world
        .netns
        .sysctl("net/ipv4/ip_local_port_range", "1024 65535");
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, flags);
    assert_eq!(programs::at_lookup(&world.netns), lookups);
    let plan = Churn {
        connections: CONNECTIONS,
        threads: 6,
        from: vec![CLIENT.parse().expect("literal")],
        to: vec![server.address()],
        // Each of them waits until the server has closed as well: six are open, in truth.
        endings: vec![Ending::Client, Ending::Server, Ending::ServerReset],
        patience: PATIENCE,
    };
    let report = world.netns.run(|| churn(&plan));
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.done, CONNECTIONS);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (
            zone.passed,
            zone.rejected,
            zone.syn_retransmits,
            zone.excess,
            zone.keys
        ),
        (CONNECTIONS, 0, 0, 0, 0)
    );
    assert_eq!(world.open_at(PORT), 0);
    assert_eq!(server.stat().accepted, CONNECTIONS);
    limiter.must_be_exact(ZONE);
}

#[test]
fn at_every_moment_of_a_random_run_the_count_is_what_the_kernel_has_open() {
    const STEPS: usize = 500;
    let world = World::new();
    let mut server = Server::start(&world, &[SERVER], &["--hold"]);
    let limiter = Limiter::start(&world, &["--listen", "8080", "--limit", "1000"]);
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let mut open: Vec<TcpStream> = Vec::new();
    let mut half_closed: Vec<TcpStream> = Vec::new();
    for step in 0..STEPS {
        let action = random.below(12);
        if action < 5 || open.is_empty() {
            let from = format!("127.0.0.{}", 2 + random.below(4));
            open.push(world.open(&from, server.address()));
        } else if action == 11 && random.below(8) == 0 {
            server.command(["close", "reset"][random.below(2)]);
        } else {
            let mut stream = open.swap_remove(random.below(open.len()));
            match action {
                5 => drop(stream),
                6 => client::reset(stream).expect("reset"),
                // Errors of the rest: the server may have closed everything before.
                7 => {
                    let _ = stream.shutdown(Shutdown::Write);
                    half_closed.push(stream);
                }
                8 => {
                    let _ = client::half_close_by_server(&mut stream);
                    half_closed.push(stream);
                }
                9 => {
                    let _ = stream.write_all(&[serve::CLOSE]);
                    half_closed.push(stream);
                }
                10 => {
                    let _ = client::reset_by_server(stream);
                }
                _ => {
                    half_closed.clear();
                    open.push(stream);
                }
            }
        }
        let mut seen = (0, 0);
        let equal = poll(PATIENCE, || {
            seen = (
                limiter.zone(ZONE).connections,
                sockdiag::count(&world.netns, PORT),
            );
            seen.0 == seen.1
        });
        assert!(
            equal,
            "seed {seed}, step {step}, action {action}: the limiter counts {}, open are {}",
            seen.0, seen.1
        );
    }
    drop((open, half_closed));
    server.command("close");
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(limiter.zone(ZONE).keys, 0);
    limiter.must_be_exact(ZONE);
}
