//! What the daemon is told at once.

use crate::addr::Addr;

/// One record in the event ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Monotonic time (`CLOCK_MONOTONIC`), ns.
    pub time_ns: u64,
    /// One more than that of the event before, see [`EVENT_NUMBER`]. Events that found the ring full
    /// have numbers, too.
    pub number: u64,
    /// How long the connection was established, ns; only with [`STATUS_CLOSED`]. 0: unknown.
    pub duration_ns: u64,
    /// Client address.
    pub remote: Addr,
    /// Local address.
    pub local: Addr,
    /// Attempts of the same key that were refused since its last event and not reported.
    pub suppressed: u64,
    /// Connections of the key at the verdict; with [`STATUS_CLOSED`] those that are left.
    pub connections: u32,
    /// The limit that decided; 0 if none did.
    pub limit: u32,
    /// Client port, host order.
    pub remote_port: u16,
    /// Local port, host order.
    pub local_port: u16,
    /// Index of the zone that decided.
    pub zone: u16,
    /// Index of the server.
    pub server: u16,
    /// One of the `STATUS_` values.
    pub status: u8,
    /// One of the `REASON_` values.
    pub reason: u8,
    /// One of the `HOOK_` values.
    pub hook: u8,
    /// Explicit padding, 0.
    pub padding: u8,
    /// Explicit padding, 0.
    pub padding_to_word: u32,
}

const _: () = assert!(size_of::<Event>() == 88 && align_of::<Event>() == 8);

/// `PASSED`
pub const STATUS_PASSED: u8 = 0;
/// `REJECTED`
pub const STATUS_REJECTED: u8 = 1;
/// `REJECTED_DRY_RUN`
pub const STATUS_REJECTED_DRY_RUN: u8 = 2;

/// A connection that was counted has been closed: no verdict, but its end.
pub const STATUS_CLOSED: u8 = 3;

/// Place in [`crate::names::MAP_EVENT_NUMBERS`]: events so far, over all CPUs.
pub const EVENT_NUMBER: u32 = 0;
/// Place in [`crate::names::MAP_EVENT_NUMBERS`]: a number that the daemon has chosen at random when
/// the map was new. Numbers of events mean something only together with it.
pub const EVENT_STREAM: u32 = 1;
/// Values of [`crate::names::MAP_EVENT_NUMBERS`].
pub const NUMBERS: usize = 2;

/// Nothing was refused.
pub const REASON_NONE: u8 = 0;
/// The key is at its limit.
pub const REASON_LIMIT: u8 = 1;
/// The zone has no room for another key.
pub const REASON_EXHAUSTED: u8 = 2;
/// A connect has waited for a slot as long as it may.
pub const REASON_TIMEOUT: u8 = 3;

/// Decided on a packet at a listener (`cgroup_skb`).
pub const HOOK_CGROUP_SKB: u8 = 1;
/// Decided when the connection was established (`sock_ops`).
pub const HOOK_SOCK_OPS: u8 = 2;
/// Decided when the kernel looked for the listener of a packet (`sk_lookup`).
pub const HOOK_SK_LOOKUP: u8 = 3;
/// Decided on an interface (`xdp`).
pub const HOOK_XDP: u8 = 4;
/// Decided as a process connected to a server of an upstream (`cgroup/connect4`, `connect6`). Such an
/// event has no zone, and as its server the index of that of the upstream.
pub const HOOK_CONNECT: u8 = 5;

/// A connection that the daemon has to destroy: one record in the ring of excess connections.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excess {
    /// Socket cookie, so that never another socket is hit.
    pub cookie: u64,
    /// Client address.
    pub remote: Addr,
    /// Local address.
    pub local: Addr,
    /// Client port, host order.
    pub remote_port: u16,
    /// Local port, host order.
    pub local_port: u16,
    /// Address family of the socket, `AF_INET` or `AF_INET6`.
    pub family: u32,
}

const _: () = assert!(size_of::<Excess>() == 48);
