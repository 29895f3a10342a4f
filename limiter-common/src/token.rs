//! What a counted socket remembers, so that it is released from exactly what it was charged for.

use crate::{key::KeyShape, policy::MAX_LIMITS};

/// One slot that a socket holds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Life of the entry that was charged, see [`crate::entry::Occupancy`].
    pub generation: u32,
    /// Index of the zone.
    pub zone: u16,
    /// How the zone made keys at that time: with the socket's own addresses, the key.
    pub shape: KeyShape,
}

/// Value of the socket storage of a counted socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// Index of the server at that time.
    pub server: u16,
    /// How many of `charges` are held. 0 once released.
    pub count: u16,
    /// [`Token::EXCESS`] or 0.
    pub flags: u32,
    /// The slots held.
    pub charges: [Charge; MAX_LIMITS],
}

impl Token {
    /// The connection was established although a limit says no; it holds no slot and the daemon
    /// was asked to destroy it.
    pub const EXCESS: u32 = 1;
}

/// Value of the socket storage of the socket that refused attempts are brought to, and, by
/// inheritance, of the connections it accepts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiter {
    /// The slot among the waiting connections of a key; generation 0: none.
    pub charge: Charge,
    /// Index of the server.
    pub server: u16,
    /// Not 0: the connection has been counted in [`crate::names::MAP_WAITING`].
    pub is_counted: u16,
    /// Explicit padding, 0.
    pub padding: u32,
}

/// Connections that are adopted at a time: entries of [`crate::names::MAP_CANDIDATES`].
pub const MAX_CANDIDATES: usize = 16_384;

const _: () = assert!(size_of::<Charge>() == 8);
const _: () = assert!(size_of::<Waiter>() == 16);
const _: () = assert!(size_of::<Token>() == 8 + 8 * MAX_LIMITS);
