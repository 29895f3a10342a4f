//! The audit: counts again, while connections come and go.
//!
//! A pass has a number, which the programs see from its beginning to its end. In a pass each connection
//! that holds slots is counted once more, in words beside the true counts ([`Recount`]):
//!
//! | who | when | does |
//! |---|---|---|
//! | the walk over all tokens | it meets a connection | [`meet`], [`count_again`], [`has_met`] |
//! | a connection that is established | during the pass | [`start`], takes its slots, [`count_again`] |
//! | a connection that is closed | during the pass | [`part`], gives its slots back |
//!
//! So at the end the second count is that of the connections that are open *then*, and the true count
//! can only be higher by what is between two of these steps at the very moment. The walk needs no lock
//! on a socket: [`Token::audited`] goes to the number of the pass by one exchange, so nobody is counted
//! twice, and to [`Token::LEFT`] at the close, so nobody is counted who has parted. If a connection is
//! closed while the walk is counting it, the entry may be another key's before the walk is done with it.
//! The walk sees that afterwards: it has *collided*, and what was counted in this pass proves nothing.

use super::{Word, Zone, Zones, slot::tell_freed};
use crate::{
    entry::{Occupancy, Recount},
    key::ZoneKey,
    token::{MAX_CHARGES, Token},
};

/// A connection begins while a pass goes on; before it takes its slots, and before anybody may see
/// that it is counted.
#[inline(always)]
pub fn start(audited: impl Word<u32>, pass: u32) {
    let found = audited.load();
    // Nobody else changes it: the walk passes by what is not counted.
    audited.compare_exchange(found, pass);
}

/// The walk meets a connection. What is to be counted was read before this, and it was open then.
/// Whether it is to be counted: nobody has, and it has not parted.
#[inline(always)]
pub fn meet(audited: impl Word<u32>, found: u32, pass: u32) -> bool {
    let meeting = pass | Token::MEETING;
    found & !Token::MEETING != pass
        && found != Token::LEFT
        && audited.compare_exchange(found, meeting) == found
}

/// The walk has counted it. `false`: it has parted meanwhile, so the walk has collided.
#[inline(always)]
pub fn has_met(audited: impl Word<u32>, pass: u32) -> bool {
    let meeting = pass | Token::MEETING;
    audited.compare_exchange(meeting, pass) == meeting
}

/// A connection is about to give its slots back. Those that were counted in this pass no longer count.
#[inline(always)]
pub fn part(zones: &impl Zones, audited: impl Word<u32>, token: &Token, pass: u32) {
    // The walk may come by twice: to begin, and to end.
    let mut was = audited.load();
    for _ in 0..3 {
        let found = audited.compare_exchange(was, Token::LEFT);
        if found == was {
            break;
        }
        was = found;
    }
    if was != pass {
        return;
    }
    for index in 0..MAX_CHARGES {
        if token.charges[index].generation != 0 {
            zones.leave_count(&token.connection, token.charges[index], pass);
        }
    }
}

/// Counts one who holds a slot of this generation of the key. `false` if that generation is gone: it
/// counts only among the slots of the zone then.
#[inline(always)]
pub fn count_again(zone: impl Zone, key: &ZoneKey, generation: u32, pass: u32) -> bool {
    change(zone.slot_recount(), pass, 1);
    let Some(entry) = zone.find(key) else {
        return false;
    };
    if generation_of(zone, entry) != generation {
        return false;
    }
    let before = change(zone.recount(entry), pass, 1);
    // Was it the key's? See `take`.
    if zone.find(key) != Some(entry) || generation_of(zone, entry) != generation {
        change(zone.recount(entry), pass, -1);
        return false;
    }
    if before == 0 && !zone.evicts() {
        change(zone.live_recount(), pass, 1);
    }
    true
}

/// Undoes [`count_again`].
#[inline(always)]
pub fn leave_count(zone: impl Zone, key: &ZoneKey, generation: u32, pass: u32) {
    change(zone.slot_recount(), pass, -1);
    let Some(entry) = zone.find(key) else { return };
    if generation_of(zone, entry) != generation {
        return;
    }
    let before = change(zone.recount(entry), pass, -1);
    if before == 1 && !zone.evicts() {
        change(zone.live_recount(), pass, -1);
    }
}

/// Whether a slot of this generation of the key still means something.
#[inline(always)]
pub fn is_held(zone: impl Zone, key: &ZoneKey, generation: u32) -> bool {
    zone.find(key)
        .is_some_and(|entry| generation_of(zone, entry) == generation)
}

#[inline(always)]
fn generation_of<Z: Zone>(zone: Z, entry: Z::Entry) -> u32 {
    Occupancy::from_word(zone.occupancy(entry).load()).generation
}

/// Changes the count of this pass; what it was before.
#[inline(always)]
fn change(word: impl Word, pass: u32, by: i32) -> i32 {
    let found = word.load();
    let before = Recount::count_of(found, pass);
    let count = before.wrapping_add(by);
    if word.compare_exchange(found, Recount { pass, count }.word()) == found {
        return before;
    }
    // Somebody else was quicker, so the word is of this pass. (Or it is that of an entry that was just
    // made: then it says nothing, whatever is added.)
    Recount::from_word(word.fetch_add(i64::from(by) as u64)).count
}

/// How often a correction is tried that others are quicker than. What is left is corrected after the
/// next pass.
const TRIES: usize = 4;

/// By how much a count is too high; below zero: too low.
pub type Difference = i32;

/// Corrects the count of this generation of the key, and nothing else: how many keys are live was
/// counted again, too. What was really corrected, for a count is never below zero; 0 if that generation
/// is gone.
#[inline(always)]
pub fn correct(zone: impl Zone, key: &ZoneKey, generation: u32, by: Difference) -> Difference {
    let Some(entry) = zone.find(key) else {
        return 0;
    };
    let occupancy = zone.occupancy(entry);
    for _ in 0..TRIES {
        let word = occupancy.load();
        let now = Occupancy::from_word(word);
        if now.generation != generation {
            return 0;
        }
        let (connections, by) = corrected(now.connections.into(), by);
        let corrected = Occupancy {
            generation,
            connections: connections as u32,
        };
        if occupancy.compare_exchange(word, corrected.word()) == word {
            tell_freed(zone);
            return by;
        }
    }
    0
}

/// Corrects a count that is a word of its own; what was really corrected.
#[inline(always)]
pub fn correct_count(word: impl Word, by: Difference) -> Difference {
    for _ in 0..TRIES {
        let found = word.load();
        let (count, by) = corrected(found, by);
        if word.compare_exchange(found, count) == found {
            return by;
        }
    }
    0
}

#[inline(always)]
fn corrected(count: u64, by: Difference) -> (u64, Difference) {
    let too_high = i64::from(by);
    if too_high > 0 && count < too_high as u64 {
        return (0, count as i32);
    }
    (count.wrapping_sub(too_high as u64), by)
}
