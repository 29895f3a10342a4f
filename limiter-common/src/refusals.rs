//! How often a key was refused, and when there was an event about it. It steers what is told, never
//! what is counted.
//!
//! Number and time share a word. Every refusal adds one to it, and learns with that how many there
//! were and when the last event was. Who finds that an event is due claims it: by one exchange from
//! the time that it found to now, so that nobody else gets that event. Then it alone writes how many
//! have been told, which the next event goes on from.

use crate::admission::Word;

/// Refusals of a key, and the time of the last event about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Refusals, less than 2⁴⁰: at a million a second they begin anew after 12 days.
    pub count: u64,
    /// When the last event was sent, see [`Moment`].
    pub last_event: Moment,
}

/// A time in ticks, of which 24 bits are kept: they come round after some hours (four and a half with
/// 1000 ticks a second). An event that is due at that very moment is held back for a second. 0: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u32);

impl Moment {
    const BITS: u32 = 24;
    const MASK: u32 = (1 << Self::BITS) - 1;

    /// No event yet.
    pub const NEVER: Self = Self(0);

    /// From ticks.
    #[inline(always)]
    pub const fn of(ticks: u64) -> Self {
        let ticks = ticks as u32 & Self::MASK;
        // Not to be taken for never.
        Self(ticks + (ticks == 0) as u32)
    }

    /// Whether a second has passed until `now`.
    #[inline(always)]
    pub const fn is_past(self, now: Self, ticks_per_second: u64) -> bool {
        self.0 == 0 || (now.0.wrapping_sub(self.0) & Self::MASK) as u64 >= ticks_per_second
    }
}

impl Refusals {
    const COUNT_BITS: u32 = u64::BITS - Moment::BITS;

    /// From the word in memory.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            count: word & ((1 << Self::COUNT_BITS) - 1),
            last_event: Moment((word >> Self::COUNT_BITS) as u32),
        }
    }

    /// To the word in memory.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        (self.last_event.0 as u64) << Self::COUNT_BITS | self.count
    }
}

/// Counts refusals that were counted elsewhere before.
#[inline(always)]
pub fn add(refusals: impl Word, more: u64) {
    refusals.fetch_add(more);
}

/// Counts a refusal; what was there before.
#[inline(always)]
pub fn count(refusals: impl Word) -> Refusals {
    Refusals::from_word(refusals.fetch_add(1))
}

/// How often a claim is tried again. Each time that it fails, another refusal has been counted.
const TRIES: usize = 4;

/// Claims the event that follows the one at `last`. `false`: it is another one's, or refusals come so
/// fast that the next one may have it.
#[inline(always)]
pub fn claim(refusals: impl Word, last: Moment, now: Moment) -> bool {
    for _ in 0..TRIES {
        let word = refusals.load();
        let found = Refusals::from_word(word);
        if found.last_event != last {
            return false;
        }
        let claimed = Refusals {
            last_event: now,
            ..found
        };
        if refusals.compare_exchange(word, claimed.word()) == word {
            return true;
        }
    }
    false
}

/// Tells of all refusals up to the one that has claimed the event and was the one after `before`, and of
/// `more` that have been counted since. How many others there are that no event has told of: less
/// than 2³¹.
#[inline(always)]
pub fn tell(reported: impl Word<u32>, before: Refusals, more: u64) -> u64 {
    let before = (before.count as u32).wrapping_add(more as u32);
    let told = reported.load();
    reported.compare_exchange(told, before.wrapping_add(1));
    // Below zero if one that had claimed its event was stopped until the next one was due.
    (before.wrapping_sub(told) as i32).max(0) as u64
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{
        sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
        thread,
    };

    use super::*;

    const HZ: u64 = 250;

    #[test]
    fn one_event_is_due_a_second() {
        for hz in [100, 250, 300, 1000] {
            for start in [0, 15, 16, 17, 12_345, (1 << 24) - 1, u64::from(u32::MAX)] {
                let last = Moment::of(start);
                // The first tick is taken for the second, not for never.
                let due = if start == 0 { hz + 1 } else { hz };
                assert!(Moment::NEVER.is_past(last, hz));
                for later in 0..2 * hz {
                    let now = Moment::of(start + later);
                    assert_eq!(last.is_past(now, hz), later >= due, "{hz} {start} {later}");
                }
            }
        }
    }

    #[test]
    fn the_word_gives_both_back() {
        for count in [0, 1, 1 << 32, (1 << 40) - 1] {
            for last_event in [Moment::NEVER, Moment::of(1), Moment::of(u64::MAX)] {
                let refusals = Refusals { count, last_event };
                assert_eq!(Refusals::from_word(refusals.word()), refusals);
            }
        }
    }

    #[test]
    fn all_refusals_are_told_of() {
        // Near the end of what `reported` holds, and of what the word does.
        for first in [0, u64::from(u32::MAX) - 5] {
            let refusals = &AtomicU64::new(first);
            let reported = &AtomicU32::new(first as u32);
            let mut told = 0;
            for ticks in (1..100 * HZ).step_by(50).chain([200 * HZ]) {
                let before = count(refusals);
                let now = Moment::of(ticks);
                let more = ticks % 3;
                add(refusals, more);
                if before.last_event.is_past(now, HZ) {
                    assert!(claim(refusals, before.last_event, now));
                    assert!(!claim(refusals, before.last_event, now));
                    told += 1 + tell(reported, before, more);
                }
            }
            let refused = Refusals::from_word(refusals.load(SeqCst)).count - first;
            assert_eq!(told, refused);
            assert_eq!(
                told,
                u64::from(reported.load(SeqCst).wrapping_sub(first as u32))
            );
        }
    }

    #[test]
    fn an_event_is_one_refusals() {
        for turn in 1..=200 {
            let refusals = &AtomicU64::new(0);
            let now = Moment::of(turn);
            let mut claimed = 0;
            thread::scope(|scope| {
                let refuse = || {
                    let before = count(refusals);
                    before.last_event.is_past(now, HZ) && claim(refusals, before.last_event, now)
                };
                let threads: std::vec::Vec<_> = (0..4).map(|_| scope.spawn(refuse)).collect();
                for thread in threads {
                    claimed += u64::from(thread.join().expect("no panic"));
                }
            });
            assert_eq!(claimed, 1);
            let found = Refusals::from_word(refusals.load(SeqCst));
            assert_eq!((found.count, found.last_event), (4, now));
        }
    }
}
