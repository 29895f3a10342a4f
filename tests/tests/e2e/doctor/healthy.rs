//! Where nothing is wrong, nothing is said.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use limiter::api::doctor::{Cause, Level};
use tests::{
    World,
    churn::{Churn, Ending, churn},
    nginx::{Nginx, get_again},
    settle::PATIENCE,
    world::address,
};

use super::{Load, examine};
use crate::{SERVER, heavy};

const PLAIN: &str = "127.0.0.1:8081";

#[test]
fn under_brisk_load_there_is_no_false_alarm_in_twenty_runs() {
    let _heavy = heavy();
    let world = World::new();
    let nginx = Nginx::start(&world, SERVER.parse().expect("literal"));
    let plain = world.serve(&[PLAIN]);
    let _idle = world.open_many("127.0.0.9", plain.address(), 30);
    let clients: Vec<IpAddr> = (1..=8_u8)
        .map(|network| address(&format!("127.0.{network}.5")))
        .collect();
    let (load, requests) = (Load::default(), AtomicU64::new(0));
    // Connections with one request, and with many.
    let browse = |from: IpAddr, each: usize| {
        while load.goes_on() {
            let mut stream = nginx.get(&world, from, PATIENCE).expect("an answer");
            for _ in 0..each {
                get_again(&mut stream).expect("an answer");
            }
            requests.fetch_add(1, Ordering::Relaxed);
        }
    };
    let come_and_go = || {
        while load.goes_on() {
            let report = world.netns.run(|| {
                churn(&Churn {
                    connections: 100,
                    threads: 2,
                    from: clients.clone(),
                    to: vec![plain.address()],
                    endings: Ending::ALL.to_vec(),
                    patience: PATIENCE,
                })
            });
            assert_eq!(report.failures, [""; 0]);
        }
    };
    thread::scope(|scope| {
        let _end = load.end_at_drop();
        for (number, from) in clients.iter().enumerate() {
            let each = if number % 2 == 0 { 0 } else { 50 };
            let browse = &browse;
            scope.spawn(move || browse(*from, each));
        }
        scope.spawn(come_and_go);
        for _ in 0..20 {
            let report = examine(&world, &["--interval", "200ms"]);
            assert_eq!(
                (report.verdict.level, report.verdict.cause),
                (Level::Healthy, Cause::None),
                "{report:#?}"
            );
            assert_eq!(report.listeners.len(), 2);
            assert!(report.unseen.is_empty(), "{:?}", report.unseen);
        }
    });
    assert!(requests.into_inner() > 100, "it was a load");
}
