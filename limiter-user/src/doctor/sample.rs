//! What the kernel says at one moment.

use std::{io, time::Instant};

use super::counters::Counters;
use crate::kernel::sock_diag::{
    ObservedConnection, ObservedListener, observe_connections, observe_listeners,
};

/// Everything about TCP in the network namespace of the calling thread.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was begun.
    pub begun: Instant,
    /// Counters of the namespace.
    pub counters: Counters,
    /// Sockets that listen.
    pub listeners: Vec<ObservedListener>,
    /// Connections, each once.
    pub connections: Vec<ObservedConnection>,
}

impl Sample {
    /// As it is now.
    ///
    /// # Errors
    ///
    /// If the kernel does not list its sockets.
    pub fn take() -> io::Result<Self> {
        let begun = Instant::now();
        let counters = Counters::read()?;
        let listeners = observe_listeners()?;
        let mut connections = Vec::new();
        observe_connections(|it| connections.push(it))?;
        // The kernel goes on in a hash chain by counting, and chains change (net/ipv4/inet_diag.c).
        // Sorted, one sample finds the other one's connections without a table.
        connections.sort_unstable_by_key(|it| it.cookie);
        connections.dedup_by_key(|it| it.cookie);
        Ok(Self {
            begun,
            counters,
            listeners,
            connections,
        })
    }

    /// A connection by its cookie.
    pub fn connection(&self, cookie: u64) -> Option<&ObservedConnection> {
        let found = self
            .connections
            .binary_search_by_key(&cookie, |it| it.cookie);
        found.ok().map(|position| &self.connections[position])
    }
}
