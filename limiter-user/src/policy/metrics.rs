//! What is told to those who collect metrics, and where.

use std::net::SocketAddr;

/// The `metrics` directives. The default is no port, no series of single keys, and no times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// `metrics`: where counters are served over TCP, to be read only. No two are equal, no port is 0.
    /// `[::]` is every IPv6 address and no IPv4 address.
    pub listen: Vec<SocketAddr>,
    /// `metrics_top`: so many keys of each zone have series of their own, those with most connections;
    /// [`MAX_TOP`](Self::MAX_TOP) at the most.
    pub top: u16,
    /// `metrics_run_time`: the kernel measures how long the programs run.
    pub run_time: bool,
}

impl Metrics {
    /// Keys of a zone at the most that have series of their own.
    pub const MAX_TOP: u16 = 1000;

    /// Addresses at the most.
    pub const MAX_LISTEN: usize = 16;
}
