//! Many short connections from several threads.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::client;

/// Who ends a connection, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client closes first.
    Client,
    /// The server closes first.
    Server,
    /// The client sends a RST.
    ClientReset,
    /// The server sends a RST.
    ServerReset,
}

impl Ending {
    /// Every way.
    pub const ALL: [Self; 4] = [
        Self::Client,
        Self::Server,
        Self::ClientReset,
        Self::ServerReset,
    ];
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Churn {
    /// Connections in all.
    pub connections: u64,
    /// Threads, each with one connection at a time.
    pub threads: usize,
    /// Client addresses, in turn.
    pub from: Vec<IpAddr>,
    /// Servers, in turn.
    pub to: Vec<SocketAddr>,
    /// Endings, in turn.
    pub endings: Vec<Ending>,
    /// How long to wait for one connection.
    pub patience: Duration,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Connections that were greeted and ended as planned.
    pub done: u64,
    /// Why others were not; the first hundred.
    pub failures: Vec<String>,
}

/// Opens and ends the connections, in the namespace of the calling thread.
///
/// # Panics
/// If a thread does.
pub fn churn(plan: &Churn) -> Report {
    let next = AtomicU64::new(0);
    let reports: Vec<Report> = thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.threads)
            // A thread starts in the network namespace of the one that makes it (clone(2)).
            .map(|_| scope.spawn(|| work(plan, &next)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker of the churn"))
            .collect()
    });
    reports.into_iter().fold(Report::default(), |mut sum, one| {
        sum.done += one.done;
        sum.failures.extend(one.failures);
        sum
    })
}

fn work(plan: &Churn, next: &AtomicU64) -> Report {
    let mut report = Report::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.connections {
            return report;
        }
        match one(plan, usize::try_from(number).expect("fits")) {
            Ok(()) => report.done += 1,
            Err(e) if report.failures.len() < 100 => {
                report.failures.push(format!("connection {number}: {e}"));
            }
            Err(_) => {}
        }
    }
}

fn one(plan: &Churn, number: usize) -> io::Result<()> {
    let ending = plan.endings[number % plan.endings.len()];
    // Endings, addresses and servers turn at different rates, so that all combinations occur.
    let from = plan.from[number / plan.endings.len() % plan.from.len()];
    let to = plan.to[number / plan.endings.len() / plan.from.len() % plan.to.len()];
    let stream = client::open_here(from, to, plan.patience)?;
    match ending {
        Ending::Client => client::close(stream),
        Ending::Server => client::close_by_server(stream),
        Ending::ClientReset => client::reset(stream),
        Ending::ServerReset => client::reset_by_server(stream),
    }
}
