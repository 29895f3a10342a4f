//! Connections at the same time, and when each was there.

use std::{
    net::SocketAddr,
    os::fd::{AsFd as _, AsRawFd as _},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    time::ClockId,
};
use serde::{Deserialize, Serialize};
use socket2::Socket;

use super::{
    ESTABLISHED, Ends, Way,
    connect::{connect, name},
};
use crate::random::Random;

/// One connection. Times are of `CLOCK_MONOTONIC`, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// `established`, or the name of the error.
    pub end: String,
    /// When connect() was called.
    pub called: u64,
    /// When it returned.
    pub returned: u64,
    /// Segments that it may send at once (`tcpi_snd_cwnd`); 0: there was no connection.
    pub window: u32,
    /// When the connection was closed.
    pub closed: u64,
}

/// They begin one after the other, whatever the scheduler does, and go on by themselves.
pub(super) fn all(count: usize, gap_ms: u64, hold_ms: u64, to: SocketAddr) -> Vec<Visit> {
    thread::scope(|scope| {
        let visits: Vec<_> = (0..count)
            .map(|_| {
                let called = now();
                let (socket, end) = connect(Way::NonBlocking, to);
                let visit = scope.spawn(move || go_on(called, socket, end, hold_ms));
                sleep(Duration::from_millis(gap_ms));
                visit
            })
            .collect();
        let visits = visits.into_iter();
        visits.map(|it| it.join().expect("a visit")).collect()
    })
}

fn go_on(called: u64, socket: Option<Socket>, end: String, hold_ms: u64) -> Visit {
    let end = match &socket {
        Some(socket) => completed(socket),
        None => end,
    };
    hold(called, socket, end, hold_ms)
}

/// How a connect in the background ends.
fn completed(socket: &Socket) -> String {
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::NONE).expect("poll");
    match socket.take_error().expect("SO_ERROR") {
        None => ESTABLISHED.to_owned(),
        Some(error) => name(&error),
    }
}

fn one(hold_ms: u64, to: SocketAddr) -> Visit {
    let called = now();
    let (socket, end) = connect(Way::Blocking, to);
    hold(called, socket, end, hold_ms)
}

fn hold(called: u64, socket: Option<Socket>, end: String, hold_ms: u64) -> Visit {
    let returned = now();
    let mut window = 0;
    if end == ESTABLISHED {
        window = socket.as_ref().map_or(0, self::window);
        sleep(Duration::from_millis(hold_ms));
    }
    // Before the slot is free.
    let closed = now();
    drop(socket);
    Visit {
        end,
        called,
        returned,
        window,
        closed,
    }
}

fn window(socket: &Socket) -> u32 {
    // SAFETY: all zeros is a value of this type.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the value has as many bytes as are said.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "TCP_INFO: {}", std::io::Error::last_os_error());
    info.tcpi_snd_cwnd
}

/// How many of these were open at the same time, at the most: each from when connect() returned until it
/// was closed.
pub fn most_at_once(open: impl Iterator<Item = (u64, u64)>) -> i64 {
    let mut changes: Vec<_> = open
        .flat_map(|(returned, closed)| [(returned, 1), (closed, -1)])
        .collect();
    // One that closes at the same moment comes first: it may have been gone.
    changes.sort_unstable();
    let mut open = 0;
    let open = changes.iter().map(|(_, change)| {
        open += change;
        open
    });
    open.max().unwrap_or(0)
}

/// What came of [`super::Order::Load`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// How the connects have ended.
    pub ends: Ends,
    /// What was open to either address: when connect() returned, and when it was closed.
    pub open: [Vec<(u64, u64)>; 2],
}

pub(super) fn load(for_ms: u64, hold_ms: usize, to: [SocketAddr; 2]) -> Load {
    let end = Instant::now() + Duration::from_millis(for_ms);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..8_u64)
            .map(|worker| {
                scope.spawn(move || {
                    let mut random = Random::new(u64::from(std::process::id()) << 8 | worker);
                    let mut load = Load::default();
                    while Instant::now() < end {
                        let which = random.below(2);
                        let visit = one(random.below(hold_ms) as u64, to[which]);
                        if visit.end == ESTABLISHED {
                            load.open[which].push((visit.returned, visit.closed));
                        } else {
                            // As a proxy does that tries again.
                            sleep(Duration::from_millis(1));
                        }
                        *load.ends.entry(visit.end).or_default() += 1;
                    }
                    load
                })
            })
            .collect();
        let mut sum = Load::default();
        for worker in workers {
            let load = worker.join().expect("a worker");
            for (end, count) in load.ends {
                *sum.ends.entry(end).or_default() += count;
            }
            for (all, open) in sum.open.iter_mut().zip(load.open) {
                all.extend(open);
            }
        }
        sum
    })
}

fn now() -> u64 {
    let now = ClockId::CLOCK_MONOTONIC.now().expect("a clock");
    Duration::from(now).as_micros() as u64
}
