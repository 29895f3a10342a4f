//! From two samples to listeners with their connections.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::{
    activity::{self, Activity},
    counters::rate,
    sample::Sample,
    sources::Sources,
};
use crate::{
    api::doctor::{ActivityReport, ListenerReport, QueueReport, StateReport},
    kernel::sock_diag::{ObservedConnection, ObservedListener},
};

/// States, as in include/net/tcp_states.h.
pub(super) const ESTABLISHED: u8 = 1;
const SYN_RECV: u8 = 3;
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const TIME_WAIT: u8 = 6;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// A listener, and what it takes to find whose it is.
#[derive(Clone, Debug)]
pub struct Found {
    /// What is known of it. No processes yet.
    pub report: ListenerReport,
    /// Inodes of its sockets.
    pub inodes: Vec<u32>,
}

/// A connection to another server on which a request waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Inode of its file.
    pub inode: u32,
    /// The other server.
    pub remote: SocketAddr,
}

/// What two samples tell.
#[derive(Clone, Debug)]
pub struct Findings {
    /// By address and port.
    pub listeners: Vec<Found>,
    /// In no order.
    pub outgoing: Vec<Outgoing>,
}

/// Compares two samples. `somaxconn` is that of the network namespace, if it is known.
pub fn compare(
    before: &Sample,
    after: &Sample,
    interval_ms: u64,
    somaxconn: Option<u32>,
) -> Findings {
    let mut groups: Vec<Group> = Vec::new();
    let mut places = Places::default();
    for listener in &after.listeners {
        let index = places.add(listener, groups.len());
        if index == groups.len() {
            groups.push(Group::default());
        }
        groups[index].sockets.push(*listener);
    }
    let mut outgoing = Vec::new();
    for connection in &after.connections {
        let old = || before.connection(connection.cookie);
        match places.find(connection.local) {
            Some(index) => groups[index].add(connection, old(), interval_ms),
            None if connection.state == ESTABLISHED
                && activity::waits_for_answer(connection, interval_ms) =>
            {
                outgoing.push(Outgoing {
                    inode: connection.inode,
                    remote: connection.remote,
                });
            }
            None => {}
        }
    }
    let old: HashMap<u64, &ObservedListener> =
        before.listeners.iter().map(|it| (it.cookie, it)).collect();
    let listeners = groups.iter();
    let listeners = listeners.filter_map(|group| group.found(&old, interval_ms, somaxconn));
    let mut listeners: Vec<_> = listeners.collect();
    listeners.sort_by_key(|it| it.report.listen);
    Findings {
        listeners,
        outgoing,
    }
}

/// Which listener a connection belongs to, as the kernel looks it up (net/ipv4/inet_hashtables.c).
#[derive(Default)]
struct Places {
    by_address: HashMap<SocketAddr, usize>,
    /// Ports at which `[::]` takes IPv4 clients as well.
    dual: HashMap<u16, usize>,
}

impl Places {
    fn add(&mut self, listener: &ObservedListener, next: usize) -> usize {
        let index = *self.by_address.entry(listener.local).or_insert(next);
        if listener.local.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !listener.v6_only {
            self.dual.insert(listener.local.port(), index);
        }
        index
    }

    fn find(&self, local: SocketAddr) -> Option<usize> {
        let any = match local.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let at = |address| self.by_address.get(&SocketAddr::new(address, local.port()));
        let found = at(local.ip()).or_else(|| at(any));
        found.or_else(|| self.dual.get(&local.port())).copied()
    }
}

#[derive(Default)]
struct Group {
    sockets: Vec<ObservedListener>,
    states: StateReport,
    activity: ActivityReport,
    sources: Sources,
}

impl Group {
    fn add(
        &mut self,
        connection: &ObservedConnection,
        before: Option<&ObservedConnection>,
        interval_ms: u64,
    ) {
        if !count_state(&mut self.states, connection.state) {
            return;
        }
        match connection.state {
            TIME_WAIT => return,
            ESTABLISHED => self.count(connection, before, interval_ms),
            CLOSE_WAIT if before.is_some_and(|it| it.state == CLOSE_WAIT) => {
                self.activity.not_closed += 1;
            }
            _ => {}
        }
        self.sources.add(connection.remote.ip());
    }

    fn count(
        &mut self,
        connection: &ObservedConnection,
        before: Option<&ObservedConnection>,
        interval_ms: u64,
    ) {
        let report = &mut self.activity;
        let counter = match activity::of(before, connection, interval_ms) {
            Activity::Queued => {
                report.queued_before += u64::from(before.is_some());
                &mut report.queued
            }
            Activity::New => &mut report.new,
            Activity::Busy => &mut report.busy,
            Activity::Idle => &mut report.idle,
            Activity::Waiting => {
                report.unread += u64::from(connection.unread_bytes > 0);
                &mut report.waiting
            }
            Activity::Slow => &mut report.slow,
            Activity::Silent => &mut report.silent,
        };
        *counter += 1;
    }

    fn found(
        &self,
        before: &HashMap<u64, &ObservedListener>,
        interval_ms: u64,
        somaxconn: Option<u32>,
    ) -> Option<Found> {
        // Each queue overflows for itself: the fullest one tells.
        let fullest = self
            .sockets
            .iter()
            .max_by_key(|it| u64::from(it.depth) * 1_000 / u64::from(it.limit.max(1)))?;
        let old = |it: &ObservedListener| before.get(&it.cookie).copied();
        let drops = self.sockets.iter().map(|it| u64::from(it.drops)).sum();
        // Of one that has just begun to listen nothing is known.
        let dropped = self.sockets.iter().filter_map(|it| {
            let old = old(it)?;
            Some(u64::from(it.drops.wrapping_sub(old.drops)))
        });
        let dropped: u64 = dropped.sum();
        let sources = self.sources.report();
        Some(Found {
            report: ListenerReport {
                listen: fullest.local,
                sockets: self.sockets.len() as u64,
                queue: QueueReport {
                    depth: fullest.depth,
                    depth_before: old(fullest).map_or(0, |it| it.depth),
                    limit: fullest.limit,
                    cut_by_somaxconn: somaxconn.is_some_and(|it| fullest.limit >= it),
                    drops: rate(drops - dropped.min(drops), drops, interval_ms),
                },
                states: self.states,
                activity: self.activity,
                remarks: remarks::remarks(&self.states, &self.activity, &sources),
                sources,
                pids: Vec::new(),
            },
            inodes: self.sockets.iter().map(|it| it.inode).collect(),
        })
    }
}

/// Counts a connection. False: it is in none of these states.
pub(crate) fn count_state(states: &mut StateReport, state: u8) -> bool {
    let counter = match state {
        ESTABLISHED => &mut states.established,
        SYN_RECV => &mut states.syn_recv,
        FIN_WAIT1 => &mut states.fin_wait1,
        FIN_WAIT2 => &mut states.fin_wait2,
        TIME_WAIT => &mut states.time_wait,
        CLOSE_WAIT => &mut states.close_wait,
        LAST_ACK => &mut states.last_ack,
        CLOSING => &mut states.closing,
        _ => return false,
    };
    *counter += 1;
    true
}

mod remarks;
#[cfg(test)]
mod tests;
