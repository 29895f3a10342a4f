//! Connects that wait until a server has a slot for them.
//!
//! Each server has a line. Whoever joins it takes the next ticket: it puts its [`Waiting`] under the
//! ticket that [`super::UpstreamState::tickets`] names, if nobody has, and then counts that word up. So
//! every ticket below it was in the map once, and one that is not there any more has left. Whoever frees a
//! slot goes through the line from [`super::UpstreamState::head`] on, and gives the slot to the first that
//! is [`WAITING`].

use super::super::key::Connection;

/// Connects that may wait at the same time, over all upstreams.
pub const MAX_WAITING_CONNECTS: u32 = 8192;
/// IP and TCP header with all their options, at the most; IPv6 headers of options do not count.
pub const SYN_BYTES: usize = 120;

/// Key of [`crate::names::MAP_CONNECT_QUEUE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TicketKey {
    /// The ticket.
    pub ticket: u64,
    /// Index of the server.
    pub server: u64,
}

/// Value of [`crate::names::MAP_CONNECT_QUEUE`], and of the ring of those that have been admitted.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// [`word`] of its ticket, changed atomically.
    pub state: u64,
    /// When it joined the line, ns of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// When [`Self::packet`] was held back, the same; 0: it was not yet.
    pub held_ns: u64,
    /// Network namespace (`SO_NETNS_COOKIE`).
    pub netns_cookie: u64,
    /// Its two ends, as the socket sees them; the server is the remote one.
    pub connection: Connection,
    /// Index of the queue whose place it holds.
    pub queue: u32,
    /// Mark of the packet (`SO_MARK`).
    pub mark: u32,
    /// Interface that the socket is bound to; 0: none.
    pub bound_interface: u32,
    /// Interface that the packet was about to leave by.
    pub interface: u32,
    /// Bytes of [`Self::packet`].
    pub length: u32,
    /// Explicit padding, 0.
    pub padding: u32,
    /// The SYN that was held back, from its IP header on, without data. Its TCP checksum may be only
    /// begun, and its addresses may be translated.
    pub packet: [u8; SYN_BYTES],
}

const _: () = assert!(size_of::<TicketKey>() == 16);
const _: () = assert!(size_of::<Waiting>() == 216 && align_of::<Waiting>() == 8);

/// It is in the line.
pub const WAITING: u64 = 1;
/// It has been given a slot of the server.
pub const ADMITTED: u64 = 2;
/// It has left the line.
pub const LEFT: u64 = 3;

/// Value of [`Waiting::state`]. Tickets are in it: the kernel uses the memory of a removed element at once,
/// so that a pointer may come to mean another connect between look-up and exchange.
#[inline(always)]
pub const fn word(key: &TicketKey, state: u64) -> u64 {
    (key.server << 48 ^ key.ticket) << 2 | state
}
