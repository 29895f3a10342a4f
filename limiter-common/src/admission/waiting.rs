//! Refused connections that wait to be closed: so many a key as its limit, besides those that it
//! has a slot for.
//!
//! They are counted in the entry of their key, which exists because the key is at its limit. If the
//! entry is removed or reused meanwhile, the count begins anew with its next life: then, and only
//! then, more of them may wait for a moment. What they hold can never be taken for a slot.

use super::{Word, Zone, slot::TRIES};
use crate::{entry::Occupancy, key::ZoneKey};

/// Counts one more waiting connection of `key`, at most `number`. The generation to give to
/// [`end_wait`], or `None` if it may not wait.
#[inline(always)]
pub fn begin_wait(zone: impl Zone, key: &ZoneKey, number: u32) -> Option<u32> {
    let entry = zone.find(key)?;
    let generation = Occupancy::from_word(zone.occupancy(entry).load()).generation;
    if generation == 0 {
        return None;
    }
    let waiting = zone.waiting(entry);
    for _ in 0..TRIES {
        let word = waiting.load();
        let count = count_of(word, generation);
        if count >= number {
            return None;
        }
        let more = Occupancy {
            generation,
            connections: count + 1,
        };
        if waiting.compare_exchange(word, more.word()) == word {
            return Some(generation);
        }
    }
    None
}

/// Counts one waiting connection less, if its life of the entry is still the same.
#[inline(always)]
pub fn end_wait(zone: impl Zone, key: &ZoneKey, generation: u32) {
    let Some(entry) = zone.find(key) else { return };
    let waiting = zone.waiting(entry);
    for _ in 0..TRIES {
        let word = waiting.load();
        if count_of(word, generation) == 0 || waiting.compare_exchange(word, word - 1) == word {
            return;
        }
    }
    // Others won every time. Should the entry be reused at this very moment, the word gets a
    // generation that is not the entry's, which means none.
    waiting.fetch_add(u64::MAX);
}

/// Whether one more connection of this entry's key may wait.
#[inline(always)]
pub fn may_wait<Z: Zone>(zone: Z, entry: Z::Entry, number: u32) -> bool {
    let generation = Occupancy::from_word(zone.occupancy(entry).load()).generation;
    generation != 0 && count_of(zone.waiting(entry).load(), generation) < number
}

#[inline(always)]
fn count_of(word: u64, generation: u32) -> u32 {
    let waiting = Occupancy::from_word(word);
    if waiting.generation == generation {
        waiting.connections
    } else {
        0
    }
}
