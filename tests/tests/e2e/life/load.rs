//! Clients that come and go while a test does something to the limiter.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use tests::{
    churn::{Churn, Ending, churn},
    client,
    settle::PATIENCE,
    world::address,
};

use crate::{CLIENT, SERVER};

/// Has them come to an end when it is dropped, also by a panic of the test: whoever waits for their
/// threads would wait for ever.
pub struct EndOfLoad<'a>(pub &'a AtomicBool);

impl Drop for EndOfLoad<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Never more than six of a client at a time: nobody may be refused. Returns how many connections
/// there were.
pub fn come_and_go(done: &AtomicBool) -> u64 {
    let mut count = 0;
    while !done.load(Relaxed) {
        let report = churn(&Churn {
            connections: 200,
            threads: 2,
            from: (1..=8).map(|n| [127, 0, 1, n].into()).collect(),
            to: vec![SERVER.parse().expect("literal")],
            endings: Ending::ALL.to_vec(),
            patience: PATIENCE,
        });
        assert_eq!(report.failures, Vec::<String>::new());
        count += report.done;
    }
    count
}

/// One client takes what it gets, and lets go of it. Returns how many it had at the most.
pub fn storm(limit: usize, done: &AtomicBool) -> usize {
    let to = SERVER.parse().expect("literal");
    let mut most = 0;
    while !done.load(Relaxed) {
        let open: Vec<_> = (0..2 * limit)
            .map_while(|_| client::open_here(address(CLIENT), to, Duration::from_millis(30)).ok())
            .collect();
        most = most.max(open.len());
        open.into_iter().for_each(drop);
    }
    most
}
