//! The types of limiter-common, as bytes in a map.

use aya::Pod;
use limiter_common::{
    audit::AuditDesk,
    counters::{EventCounters, PacketCounters, ZoneCounters},
    entry::{ZoneEntry, ZoneState},
    event::{Event, Excess},
    key::{Connection, ZoneKeyWords},
    policy::{Control, ListenerKey, Listening, Network, PortEntry, ServerPolicy},
    tally::Tally,
    token::{Token, Waiter},
    upstream::{
        UpstreamKey, UpstreamServer, UpstreamState,
        queue::{TicketKey, Waiting},
    },
};

/// A value that goes into a map or comes from one.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Raw<T>(pub(super) T);

/// Types of the boundary: `repr(C)`, every bit pattern a value, no implicit padding.
///
/// # Safety
///
/// Implement it for such types only.
pub(super) unsafe trait Boundary: Copy + 'static {}

// SAFETY: transparent over a type that may be read and written as bytes.
unsafe impl<T: Boundary> Pod for Raw<T> {}

macro_rules! boundary {
    ($($ty:ty),* $(,)?) => {
        $(
            // SAFETY: limiter-common asserts size and alignment of this `repr(C)` struct of integers.
            unsafe impl Boundary for $ty {}
        )*
    };
}

boundary!(
    u32,
    Connection,
    Control,
    EventCounters,
    ListenerKey,
    Listening,
    Network,
    PacketCounters,
    PortEntry,
    ServerPolicy,
    Tally,
    ZoneCounters,
    ZoneEntry,
    ZoneKeyWords,
    ZoneState,
    Event,
    Excess,
    AuditDesk,
    Token,
    Waiter,
    UpstreamKey,
    UpstreamServer,
    UpstreamState,
    TicketKey,
    Waiting,
);

/// Reads one record of a ring.
pub(super) fn read_record<T: Boundary>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: long enough, every bit pattern is a value, and unaligned reads are allowed.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}
