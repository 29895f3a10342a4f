//! One slot of one key: take it, give it back, or look whether there is one.

use super::{Mode, Word, Zone};
use crate::{entry::Occupancy, key::ZoneKey};

/// How often a compare-and-exchange that lost is tried again. Each loss means that another CPU won.
pub(super) const TRIES: usize = 16;

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
            if !take_live(zone, mode) {
                return Slot::Exhausted;
            }
            let generation = next_generation(zone);
            let occupancy = Occupancy {
                generation,
                connections: 1,
            };
            if zone.insert(key, occupancy) {
                if !zone.evicts() {
                    zone.entries().fetch_add(1);
                }
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
        if first && !take_live(zone, mode) {
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
    if connections == 0 && !zone.evicts() && zone.live().load() >= zone.capacity() {
        Peek::Exhausted
    } else {
        Peek::Room
    }
}

/// What [`Zone::freed`] is now. As long as it stays so, no key of the zone has had fewer connections
/// than whatever [`peek`] finds after this.
///
/// Who gives a slot back first takes it from the count, and then looks here whether somebody wants to
/// know. So either it sees that somebody does, or who asks sees the lower count.
#[inline(always)]
pub fn watch(zone: impl Zone) -> u64 {
    match zone.freed().compare_exchange(0, 1) {
        0 => 1,
        freed => freed,
    }
}

/// Tells those who [`watch`] that a key has fewer connections now.
#[inline(always)]
pub(super) fn tell_freed(zone: impl Zone) {
    let freed = zone.freed();
    if freed.load() != 0 {
        freed.fetch_add(1);
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
    tell_freed(zone);
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
    if zone.evicts() {
        return;
    }
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
fn take_live(zone: impl Zone, mode: Mode) -> bool {
    if zone.evicts() {
        return true;
    }
    let most = match mode {
        Mode::Adopt => zone.room(),
        Mode::Enforce | Mode::Count => zone.capacity(),
    };
    if zone.live().fetch_add(1) < most {
        return true;
    }
    give_live(zone);
    false
}

#[inline(always)]
fn give_live(zone: impl Zone) {
    if !zone.evicts() {
        zone.live().fetch_add(u64::MAX);
    }
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
