//! Charge, roll back, release: the counting itself.
//!
//! Generic over where words and entries live, so that the same code runs in the kernel and in the
//! tests. What it promises, whatever runs at the same time on other CPUs:
//!
//! - **Never over a limit.** A slot is taken by one compare-and-exchange of the entry's occupancy,
//!   from a value below the limit. There is no moment at which a rolled-back attempt of the same
//!   zone can be seen.
//! - **Never somebody else's slot.** The kernel reuses the memory of a removed element at once, so a
//!   pointer may come to mean another key between look-up and exchange. Every life of an entry has
//!   its own generation, in the same word as the count: an exchange against an entry that was
//!   reused meanwhile fails. If the entry was reused before its occupancy was read, the second
//!   look-up shows it and the slot is given back.
//! - **Never below zero.** A slot is given back only to the generation it was taken from.
//! - **Room.** Before a key's first connection is counted, a place among the zone's live keys is
//!   taken; after its last one, given back. Idle keys stay in the map only while there are no more
//!   than [`Zone::idle`] of them: the rest are removed at once. The map has more room than both
//!   together, so that the kernel never has to evict a live key.

use crate::{
    entry::Occupancy,
    key::{Connection, KeyFields, ZoneKey},
    policy::{Limit, MAX_LIMITS, ServerPolicy},
    token::{Charge, Token},
};

/// How often a compare-and-exchange that lost is tried again. Each loss means that another CPU won.
const TRIES: usize = 16;

/// A 64-bit word shared between CPUs. All operations are sequentially consistent.
pub trait Word: Copy {
    /// Reads.
    fn load(self) -> u64;
    /// Writes `new` if the word is `current`; returns what it was.
    fn compare_exchange(self, current: u64, new: u64) -> u64;
    /// Adds, wrapping; returns what it was.
    fn fetch_add(self, n: u64) -> u64;
}

/// A zone: its map of entries and its shared counts.
pub trait Zone: Copy {
    /// Handle of a word.
    type Word: Word;
    /// Handle of an entry: two are equal if they are the same memory.
    type Entry: Copy + PartialEq;

    /// Looks the key up.
    fn find(self, key: &ZoneKey) -> Option<Self::Entry>;
    /// Adds an entry with this occupancy and nothing else in it, unless the key has one. `false` if
    /// it had one, or there is no memory.
    fn insert(self, key: &ZoneKey, occupancy: Occupancy) -> bool;
    /// Removes the key's entry.
    fn remove(self, key: &ZoneKey);
    /// [`crate::entry::ZoneEntry::occupancy`].
    fn occupancy(self, entry: Self::Entry) -> Self::Word;
    /// [`crate::entry::ZoneState::live`].
    fn live(self) -> Self::Word;
    /// [`crate::entry::ZoneState::entries`].
    fn entries(self) -> Self::Word;
    /// [`crate::entry::ZoneState::generation`].
    fn generation(self) -> Self::Word;
    /// [`crate::entry::ZoneState::capacity`].
    fn capacity(self) -> u64;
    /// [`crate::entry::ZoneState::idle`].
    fn idle(self) -> u64;
}

/// All zones, by index.
pub trait Zones {
    /// [`take`] in the zone at `index`. A zone that does not exist is [`Slot::Contended`].
    fn take(&self, index: u16, key: &ZoneKey, number: u32, mode: Mode) -> Slot;
    /// [`release`] in the zone at `index`. A zone that does not exist has nothing to release.
    fn release(&self, index: u16, key: &ZoneKey, generation: u32) -> bool;
}

/// Whether a limit is to be enforced or only watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Do not go over the limit.
    Enforce,
    /// Take the slot in any case: dry run, or a connection that is open already.
    Count,
}

/// What became of one attempt to take a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Taken.
    Taken {
        /// Life of the entry.
        generation: u32,
        /// Connections of the key before.
        before: u32,
    },
    /// The key is at its limit.
    Full {
        /// Connections of the key.
        connections: u32,
    },
    /// The zone has no room for another live key.
    Exhausted,
    /// Other CPUs won every time, or the key's entry was just being removed.
    Contended,
}

impl Slot {
    const FULL: u64 = 1 << 32;
    const EXHAUSTED: u64 = 2 << 32;
    const CONTENDED: u64 = 3 << 32;

    /// In one word, for a function of the BPF machine to return. Generations have their top bit
    /// set, so that what was taken is told from everything else.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        match self {
            Self::Taken { generation, before } => (generation as u64) << 32 | before as u64,
            Self::Full { connections } => Self::FULL | connections as u64,
            Self::Exhausted => Self::EXHAUSTED,
            Self::Contended => Self::CONTENDED,
        }
    }

    /// From [`Self::to_word`].
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        let lower = word as u32;
        if word >> 63 != 0 {
            return Self::Taken {
                generation: (word >> 32) as u32,
                before: lower,
            };
        }
        match word & !(u32::MAX as u64) {
            Self::FULL => Self::Full { connections: lower },
            Self::EXHAUSTED => Self::Exhausted,
            _ => Self::Contended,
        }
    }
}

/// Takes a slot of `key`, at most `number` of them in [`Mode::Enforce`].
#[inline(always)]
pub fn take(zone: impl Zone, key: &ZoneKey, number: u32, mode: Mode) -> Slot {
    for _ in 0..TRIES {
        let Some(entry) = zone.find(key) else {
            // A new key. Nobody else can count in the entry before it is in the map, and nobody
            // can remove it while its count is 1.
            if !take_live(zone) {
                return Slot::Exhausted;
            }
            let generation = next_generation(zone);
            let occupancy = Occupancy {
                generation,
                connections: 1,
            };
            if zone.insert(key, occupancy) {
                zone.entries().fetch_add(1);
                return Slot::Taken {
                    generation,
                    before: 0,
                };
            }
            give_live(zone);
            continue;
        };

        let word = zone.occupancy(entry).load();
        let Occupancy {
            generation,
            connections,
        } = Occupancy::from_word(word);
        if generation == 0 {
            continue;
        }
        if connections >= number && mode == Mode::Enforce {
            return Slot::Full { connections };
        }
        let first = connections == 0;
        if first && !take_live(zone) {
            return Slot::Exhausted;
        }
        let taken = Occupancy {
            generation,
            connections: connections + 1,
        };
        if zone.occupancy(entry).compare_exchange(word, taken.word()) != word {
            if first {
                give_live(zone);
            }
            continue;
        }
        // With a slot taken the entry stays what it is. Was it the key's?
        if zone.find(key) == Some(entry) {
            return Slot::Taken {
                generation,
                before: connections,
            };
        }
        give_back(zone, entry, generation);
    }
    Slot::Contended
}

/// Gives a slot back that was taken from this generation of the key. `false` if that generation is
/// gone: nothing is changed then.
#[inline(always)]
pub fn release(zone: impl Zone, key: &ZoneKey, generation: u32) -> bool {
    let Some(entry) = zone.find(key) else {
        return false;
    };
    match give_back(zone, entry, generation) {
        GivenBack::No => false,
        GivenBack::Yes => true,
        GivenBack::Last => {
            retire(zone, entry, key, generation);
            true
        }
    }
}

/// What [`take`] would find now, without changing anything. An entry is made only by an established
/// connection, so that forged SYNs leave no trace in a zone.
#[inline(always)]
pub fn peek<Z: Zone>(zone: Z, key: &ZoneKey, number: u32) -> Peek<Z::Entry> {
    let mut connections = 0;
    if let Some(entry) = zone.find(key) {
        connections = Occupancy::from_word(zone.occupancy(entry).load()).connections;
        if connections >= number {
            return Peek::Full { entry, connections };
        }
    }
    if connections == 0 && zone.live().load() >= zone.capacity() {
        Peek::Exhausted
    } else {
        Peek::Room
    }
}

/// Answer of [`peek`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek<E> {
    /// A slot could be taken.
    Room,
    /// The key is at its limit.
    Full {
        /// The key's entry.
        entry: E,
        /// Connections of the key.
        connections: u32,
    },
    /// The zone has no room for another live key.
    Exhausted,
}

/// What is told of each limit while a connection is admitted or discharged.
pub trait Observer {
    /// A slot was taken. `within`: without going over the limit.
    fn taken(&self, limit: &Limit, within: bool);
    /// A limit says no and no slot was taken.
    fn refused(&self, limit: &Limit, why: Refusal);
    /// No slot was taken because other CPUs won every time.
    fn contended(&self, limit: &Limit);
    /// The key is empty: nothing to count.
    fn skipped(&self, limit: &Limit);
    /// A slot was given back. `evicted`: its entry was gone.
    fn given_back(&self, charge: &Charge, evicted: bool);
}

/// Why a limit says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The key is at its limit.
    Full,
    /// The zone has no room for another key.
    Exhausted,
}

/// What became of a connection. (Not an enum: LLVM would carry undefined fields about, which the
/// verifier does not allow.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether a limit says no. In [`Mode::Count`] the connection is counted all the same.
    pub is_refused: bool,
    /// Position of the limit that decided: the first that says no, else the first of all.
    pub limit: usize,
    /// Why it says no, if it does.
    pub why: Refusal,
    /// Connections of its key, with this one if it was counted.
    pub connections: u32,
}

impl Admission {
    /// In one word, for a function of the BPF machine to return.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        let exhausted = matches!(self.why, Refusal::Exhausted) as u64;
        let refused = self.is_refused as u64;
        (self.connections as u64) << 32 | (self.limit as u64) << 8 | refused << 1 | exhausted
    }

    /// From [`Self::to_word`].
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            is_refused: word & 2 != 0,
            limit: (word >> 8) as usize & (MAX_LIMITS - 1),
            why: if word & 1 != 0 {
                Refusal::Exhausted
            } else {
                Refusal::Full
            },
            connections: (word >> 32) as u32,
        }
    }
}

const _: () = assert!(MAX_LIMITS.is_power_of_two());

/// Charges a connection for every limit of its server. In [`Mode::Enforce`] it is charged for all
/// of them or, if one says no, for none: what was taken before is given back.
#[inline(always)]
pub fn admit(
    zones: &impl Zones,
    observer: &impl Observer,
    server: u16,
    policy: &ServerPolicy,
    connection: &Connection,
    mode: Mode,
    token: &mut Token,
) -> Admission {
    let mut admission = Admission {
        is_refused: false,
        limit: 0,
        why: Refusal::Full,
        connections: 0,
    };
    for index in 0..MAX_LIMITS {
        if index >= policy.limit_count as usize {
            break;
        }
        let limit = &policy.limits[index];
        if limit.fields.contains(KeyFields::EMPTY) {
            observer.skipped(limit);
            continue;
        }
        let key = ZoneKey::new(limit.fields, connection, server);
        let (says_no, why, connections) = match zones.take(limit.zone, &key, limit.number, mode) {
            Slot::Taken { generation, before } => {
                token.charges[index] = Charge {
                    generation,
                    zone: limit.zone,
                    fields: limit.fields,
                    padding: 0,
                };
                let within = before < limit.number;
                if mode == Mode::Count {
                    observer.taken(limit, within);
                }
                (!within, Refusal::Full, before + 1)
            }
            Slot::Full { connections } => (true, Refusal::Full, connections),
            Slot::Exhausted => {
                if mode == Mode::Count {
                    observer.refused(limit, Refusal::Exhausted);
                }
                (true, Refusal::Exhausted, 0)
            }
            Slot::Contended => {
                observer.contended(limit);
                continue;
            }
        };
        if index == 0 || says_no && !admission.is_refused {
            admission = Admission {
                is_refused: says_no,
                limit: index,
                why,
                connections,
            };
        }
        if says_no && mode == Mode::Enforce {
            observer.refused(limit, why);
            roll_back(zones, server, connection, token);
            return admission;
        }
    }
    if mode == Mode::Enforce {
        // Only now it is certain that none is given back.
        for index in 0..MAX_LIMITS {
            if index >= policy.limit_count as usize {
                break;
            }
            if token.charges[index].generation != 0 {
                observer.taken(&policy.limits[index], true);
            }
        }
    }
    admission
}

/// Gives back every slot that the token holds. `server` and `connection` are those of the charge.
#[inline(always)]
pub fn discharge(
    zones: &impl Zones,
    observer: &impl Observer,
    server: u16,
    connection: &Connection,
    token: &mut Token,
) {
    for index in 0..MAX_LIMITS {
        let charge = token.charges[index];
        if charge.generation != 0 {
            let released = give_up(zones, server, connection, &mut token.charges[index]);
            observer.given_back(&charge, !released);
        }
    }
}

#[inline(always)]
fn roll_back(zones: &impl Zones, server: u16, connection: &Connection, token: &mut Token) {
    for charge in &mut token.charges {
        if charge.generation != 0 {
            give_up(zones, server, connection, charge);
        }
    }
}

#[inline(always)]
fn give_up(zones: &impl Zones, server: u16, connection: &Connection, charge: &mut Charge) -> bool {
    let Charge {
        generation,
        zone,
        fields,
        ..
    } = *charge;
    charge.generation = 0;
    let key = ZoneKey::new(fields, connection, server);
    zones.release(zone, &key, generation)
}

enum GivenBack {
    No,
    Yes,
    Last,
}

#[inline(always)]
fn give_back<Z: Zone>(zone: Z, entry: Z::Entry, generation: u32) -> GivenBack {
    let occupancy = zone.occupancy(entry);
    for _ in 0..TRIES {
        let word = occupancy.load();
        let now = Occupancy::from_word(word);
        if now.generation != generation || now.connections == 0 {
            return GivenBack::No;
        }
        if occupancy.compare_exchange(word, word - 1) == word {
            return given_back(zone, now.connections);
        }
    }
    // A slot that is not given back would lock its client out for ever. It is held, so the count is
    // above 0 and the entry cannot change its generation before this.
    let before = Occupancy::from_word(occupancy.fetch_add(u64::MAX));
    given_back(zone, before.connections)
}

#[inline(always)]
fn given_back(zone: impl Zone, connections_before: u32) -> GivenBack {
    if connections_before == 1 {
        give_live(zone);
        GivenBack::Last
    } else {
        GivenBack::Yes
    }
}

/// Removes the key's idle entry if there are more idle ones than may stay. Whoever marks the entry
/// removes it, and until then nobody can add another for the key: each mark is followed by the
/// removal of exactly that entry.
#[inline(always)]
fn retire<Z: Zone>(zone: Z, entry: Z::Entry, key: &ZoneKey, generation: u32) {
    let idle = zone.entries().load().saturating_sub(zone.live().load());
    if idle <= zone.idle() {
        return;
    }
    let unused = Occupancy {
        generation,
        connections: 0,
    }
    .word();
    let occupancy = zone.occupancy(entry);
    if occupancy.compare_exchange(unused, Occupancy::REMOVED) == unused {
        zone.remove(key);
        zone.entries().fetch_add(u64::MAX);
    }
}

#[inline(always)]
fn take_live(zone: impl Zone) -> bool {
    if zone.live().fetch_add(1) < zone.capacity() {
        return true;
    }
    give_live(zone);
    false
}

#[inline(always)]
fn give_live(zone: impl Zone) {
    zone.live().fetch_add(u64::MAX);
}

/// The next generation; never 0, which marks removed entries. It comes round after 2³¹ lives of
/// entries in the zone; only a connection that stays open through all of them, with its own entry
/// lost, could mistake one for its own.
#[inline(always)]
fn next_generation(zone: impl Zone) -> u32 {
    (zone.generation().fetch_add(1) as u32) | GENERATION_BIT
}

/// Keeps generations apart from 0.
const GENERATION_BIT: u32 = 1 << 31;

#[cfg(test)]
mod tests;
