//! What the daemon and the programs tell each other while they audit.

use crate::{key::ZoneKey, policy::MAX_ZONE_INDICES};

/// The highest number of a pass, after which they begin anew at 1: a pass every ten seconds gets there in
/// 340 years.
pub const LAST_PASS: u32 = (1 << 30) - 1;

/// Words of [`AuditDesk::full`].
pub const FULL_WORDS: usize = MAX_ZONE_INDICES.div_ceil(u64::BITS) as usize;

const _: () = assert!(FULL_WORDS.is_power_of_two());

/// The only value of [`crate::names::MAP_AUDIT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditDesk {
    /// Slots that were met whose entries are gone. Only grows.
    pub lost: u64,
    /// Connections that were closed while they were counted. Only grows.
    pub collisions: u64,
    /// A bit for each zone that evicts and has as many live keys as it is for: what it has lost stays
    /// lost, because to make it again would only have it lose something else. Written by the daemon.
    pub full: [u64; FULL_WORDS],
    /// What [`crate::names::PROGRAM_CORRECT`] is to do, written by the daemon before it runs it.
    pub correction: Correction,
}

/// One count that is to be corrected.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Correction {
    /// Which one: [`CONNECTIONS`], [`LIVE`], [`ENTRIES`], [`SLOTS`].
    pub count: u32,
    /// Index of the zone.
    pub zone: u32,
    /// Life of the entry, for [`CONNECTIONS`].
    pub generation: u32,
    /// By how much it is too high; below zero: too low.
    pub difference: i32,
    /// The key, for [`CONNECTIONS`].
    pub key: ZoneKey,
}

/// [`Correction::count`]: connections of a key.
pub const CONNECTIONS: u32 = 1;
/// [`Correction::count`]: [`crate::entry::ZoneState::live`].
pub const LIVE: u32 = 2;
/// [`Correction::count`]: [`crate::entry::ZoneState::entries`].
pub const ENTRIES: u32 = 3;
/// [`Correction::count`]: slots of a zone, [`crate::counters::ZoneCounters::opened`] −
/// [`crate::counters::ZoneCounters::closed`].
pub const SLOTS: u32 = 4;

const _: () = assert!(size_of::<Correction>() == 56);
const _: () = assert!(size_of::<AuditDesk>() == 72 + 8 * FULL_WORDS);
