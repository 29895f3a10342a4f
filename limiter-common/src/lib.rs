//! The contract between the programs in the kernel and the daemon.
//!
//! `no_std`, no I/O, no clock: everything here is a type that crosses the boundary, or a pure
//! function that both sides (and the tests) run.
//!
//! | module | holds |
//! |---|---|
//! | [`names`] | names of programs and maps, written once |
//! | [`addr`] | one 16-byte form for IPv4 and IPv6 addresses |
//! | [`packet`] | from bytes to addresses, ports and TCP flags |
//! | [`policy`] | what the daemon tells the programs |
//! | [`key`] | what is counted: from a connection to a [`key::ZoneKey`] |
//! | [`entry`] | the value of a zone's map, and the zone's own state |
//! | [`refusals`] | how often a key was refused, and when that was told |
//! | [`standing`] | refusals that an interface remembers for a moment |
//! | [`tally`] | refusals that a key's entry does not know of yet |
//! | [`admission`] | charge, roll back, release: the counting itself |
//! | [`audit`] | what is said while counts are audited |
//! | [`token`] | what a counted socket remembers |
//! | [`upstream`] | outgoing connections: their policy, their counts, what a socket remembers |
//! | [`counters`] | what has been done so far |
//! | [`event`] | what the daemon is told at once |
#![no_std]

pub mod addr;
pub mod admission;
pub mod attempt;
pub mod audit;
pub mod counters;
pub mod entry;
pub mod event;
pub mod hash;
pub mod key;
pub mod names;
pub mod packet;
pub mod policy;
pub mod refusals;
pub mod standing;
pub mod tally;
pub mod token;
pub mod upstream;

/// Version of every layout in this crate. A daemon never reads maps of another version.
pub const ABI_VERSION: u32 = 1;
