//! More events than anybody can read: refused attempts of thousands of clients, as fast as two CPUs
//! make them.

use std::{
    net::SocketAddr,
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use crate::{cpu, packet::Flow, settle::PATIENCE, tun::Tun};

/// Clients, each of which has an event a second.
pub const CLIENTS: u16 = 16_000;

/// What was done.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Refused attempts, no two alike: each is an event, or counted as none.
    pub offered: u64,
    /// How long it took.
    pub time: Duration,
    /// CPU time of the threads that made them.
    pub cpu_time: Duration,
}

/// Gives each client a connection. With a limit of 1, none may have another one.
///
/// # Panics
/// If somebody does not get one.
pub fn fill(tun: &Tun, server: SocketAddr) {
    let flows: Vec<_> = (0..CLIENTS).map(|n| flow(n, 100, server, 1)).collect();
    // The device holds 500 packets that nobody has read.
    for some in flows.chunks(200) {
        let answered = tun.half_open(some, PATIENCE);
        assert_eq!(answered.len(), some.len());
        for (flow, isn) in answered {
            tun.send(&flow.ack(isn));
        }
    }
}

/// Attempts of one client after another, for so long. Two threads make them: each CPU has a budget of
/// its own.
///
/// # Panics
/// If a clock cannot be read.
pub fn refused(tun: &Tun, server: SocketAddr, time: Duration) -> Load {
    let half = CLIENTS / 2;
    let loads = thread::scope(|scope| {
        let threads = [0..half, half..CLIENTS]
            .map(|clients| scope.spawn(move || refused_by(tun, server, time, clients)));
        threads.map(|thread| thread.join().expect("a load"))
    });
    let [one, two] = loads;
    Load {
        offered: one.offered + two.offered,
        time: one.time.max(two.time),
        cpu_time: one.cpu_time + two.cpu_time,
    }
}

fn refused_by(tun: &Tun, server: SocketAddr, time: Duration, clients: Range<u16>) -> Load {
    let (begin, begin_cpu) = (Instant::now(), cpu::own_time());
    let mut offered = 0;
    'load: for isn in 1.. {
        for client in clients.clone() {
            // The clock costs as much as a packet.
            if client % 64 == 0 && begin.elapsed() >= time {
                break 'load;
            }
            tun.send(&flow(client, 6_000, server, isn).syn());
            offered += 1;
        }
    }
    Load {
        offered,
        time: begin.elapsed(),
        cpu_time: cpu::own_time() - begin_cpu,
    }
}

fn flow(client: u16, port: u16, server: SocketAddr, isn: u32) -> Flow {
    let [high, low] = client.to_be_bytes();
    Flow {
        client: ([10, 9, high, low], port).into(),
        server,
        isn,
    }
}
