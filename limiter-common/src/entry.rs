//! The value of a zone's map, and the zone's own state.
//!
//! Of an entry, each word has its own writers, and none of them writes another word:
//!
//! | word | changed by | how |
//! |---|---|---|
//! | `occupancy` | who establishes, closes, adopts or settles a connection; the audit's corrections | [`crate::admission`] |
//! | `refusals`, `reported` | who refuses | [`crate::refusals`] |
//! | `recount` | the audit's walk, who establishes, who closes | [`crate::admission::count_again`] |
//! | `waiting` | who brings a refused connection to the daemon, and its close | [`crate::admission::begin_wait`] |
//!
//! A new life of the entry begins with all of them written anew, before its key is in the map.

pub use crate::refusals::Refusals;

/// What a zone knows of one key.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneEntry {
    /// Generation (upper 32 bits) and connections (lower 32 bits), see [`Occupancy`].
    pub occupancy: u64,
    /// Attempts refused since the entry was made, and the last event about one, see [`Refusals`].
    pub refusals: u64,
    /// Connections that the audit has met, see [`Recount`].
    pub recount: u64,
    /// Number of refusals that the last event has reported, its lower half.
    pub reported: u32,
    /// Refused connections that wait to be closed, see [`Waiting`].
    pub waiting: u32,
}

const _: () = assert!(size_of::<ZoneEntry>() == 32 && align_of::<ZoneEntry>() == 8);

impl ZoneEntry {
    /// Attempts refused since the entry was made, dry run included.
    pub const fn rejected(&self) -> u64 {
        Refusals::from_word(self.refusals).count
    }
}

/// One word that says how many connections a key has, and which life of the entry this is. Both
/// change together, in one compare-and-exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// Number of this life of the entry, never 0; 0 marks an entry that is being removed.
    pub generation: u32,
    /// Connections that hold a slot.
    pub connections: u32,
}

impl Occupancy {
    /// The word in an entry that is being removed.
    pub const REMOVED: u64 = 0;

    /// From the word in memory.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            generation: (word >> 32) as u32,
            connections: word as u32,
        }
    }

    /// To the word in memory.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        (self.generation as u64) << 32 | self.connections as u64
    }
}

/// One word that says how many refused connections of a key wait to be closed, and in which life of
/// the entry: the lower half of its generation. Of another life than the entry's: none.
///
/// Half a generation is enough. Lives of one element whose numbers agree in it are 65 536 insertions
/// into the zone apart, or a multiple of that, and one who counts takes the whole generation from the
/// entry just before. To mistake one for the other, a program would have to be stopped in between
/// through all of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Lower half of the generation.
    pub life: u16,
    /// Connections that wait. No limit is above 65 535.
    pub connections: u16,
}

impl Waiting {
    /// In this generation of the entry.
    #[inline(always)]
    pub const fn of(generation: u32, connections: u16) -> Self {
        Self {
            life: generation as u16,
            connections,
        }
    }

    /// From the word in memory.
    #[inline(always)]
    pub const fn from_word(word: u32) -> Self {
        Self {
            life: (word >> 16) as u16,
            connections: word as u16,
        }
    }

    /// To the word in memory.
    #[inline(always)]
    pub const fn word(self) -> u32 {
        (self.life as u32) << 16 | self.connections as u32
    }

    /// What the word says about this generation.
    #[inline(always)]
    pub const fn count_of(word: u32, generation: u32) -> u32 {
        let found = Self::from_word(word);
        if found.life == generation as u16 {
            found.connections as u32
        } else {
            0
        }
    }
}

/// What all keys of one zone share: the value of [`crate::names::MAP_ZONE_STATES`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneState {
    /// Keys with at least one connection. A slot is taken before a key's first connection is
    /// counted, and given back after its last one is gone.
    pub live: u64,
    /// Keys in the map, live and idle.
    pub entries: u64,
    /// Number of the newest life of an entry; only grows.
    pub generation: u64,
    /// Live keys at the most, written by the daemon.
    pub capacity: u64,
    /// Live keys for which the map has room, written by the daemon: as many as `capacity`, or more
    /// in a zone that was made smaller and took over keys from a larger one.
    pub room: u64,
    /// Idle keys that may stay in the map, written by the daemon.
    pub idle: u64,
    /// Not 0: a new key takes the place of the one that has not been used for longest, instead of
    /// being refused. Then `live` and `entries` stay 0. Written by the daemon.
    pub evicts: u64,
    /// Keys of which the audit has met connections, see [`Recount`].
    pub live_recount: u64,
    /// Slots that connections hold which the audit has met, those of keys that are gone included.
    pub slot_recount: u64,
    /// How often keys had fewer connections than a moment before, since somebody wants to know it, plus
    /// one; 0: nobody does. See [`crate::admission::watch`].
    pub freed: u64,
}

const _: () = assert!(size_of::<ZoneState>() == 80);

/// A count that belongs to one pass of the audit: a word with the number of the pass in its upper 32
/// bits. In another pass it means 0. The count is stored 2³¹ too high, because for a
/// moment it may be below zero: one who leaves may be quicker than the one that counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recount {
    /// The pass.
    pub pass: u32,
    /// What was counted in it.
    pub count: i32,
}

impl Recount {
    const BIAS: u32 = 1 << 31;

    /// From the word in memory.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            pass: (word >> 32) as u32,
            count: (word as u32).wrapping_sub(Self::BIAS) as i32,
        }
    }

    /// To the word in memory.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        (self.pass as u64) << 32 | (self.count as u32).wrapping_add(Self::BIAS) as u64
    }

    /// What the word says about this pass.
    #[inline(always)]
    pub const fn count_of(word: u64, pass: u32) -> i32 {
        let found = Self::from_word(word);
        if found.pass == pass { found.count } else { 0 }
    }
}

/// Keys per MiB of a zone's size: 64 bytes each, as nginx documents for 64-bit platforms.
pub const KEYS_PER_MIB: u64 = 16_384;

/// Bytes of configured zone size that one key takes.
pub const BYTES_PER_KEY: u64 = (1 << 20) / KEYS_PER_MIB;

/// Smallest zone, bytes: eight pages of 4 KiB, as in nginx.
pub const MIN_ZONE_BYTES: u64 = 8 * 4096;
