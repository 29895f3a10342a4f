//! Counters since the last reset. The kernel's only grow; a reset is a subtraction here, so that
//! no increment is lost to a writer in user space.

use std::collections::HashMap;

use limiter_common::counters::ZoneCounters;
use serde::{Deserialize, Serialize};

use crate::{
    api::ZoneStatus,
    kernel::{Applied, Origin, ZoneReading},
    policy::{Policy, Zone},
};

/// The books of all zones, by name, as the next daemon reads them.
pub fn to_json<'a>(books: impl Iterator<Item = (&'a str, &'a ZoneBook)>) -> serde_json::Value {
    let zones = books.map(|(name, book)| {
        let written = Written {
            baseline: book.baseline.to_array(),
            past: book.past.to_array(),
        };
        (name, written)
    });
    // Numbers and strings have a form in JSON.
    serde_json::to_value(zones.collect::<HashMap<_, _>>()).unwrap_or_default()
}

/// From [`to_json`]. What cannot be read is none: counters start with the kernel's.
pub fn from_json(books: &serde_json::Value) -> HashMap<String, ZoneBook> {
    let written = HashMap::<String, Written>::deserialize(books).unwrap_or_default();
    let books = written.into_iter().map(|(name, written)| {
        let book = ZoneBook {
            baseline: ZoneCounters::from_array(written.baseline),
            past: ZoneCounters::from_array(written.past),
        };
        (name, book)
    });
    books.collect()
}

#[derive(Serialize, Deserialize)]
struct Written {
    baseline: [u64; 13],
    past: [u64; 13],
}

/// What the daemon keeps of one zone.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZoneBook {
    /// What had been counted before.
    baseline: ZoneCounters,
    /// What was counted where the zone was before it moved.
    past: ZoneCounters,
}

impl ZoneBook {
    /// Of a zone that begins with these counters.
    pub fn starting_at(counters: ZoneCounters) -> Self {
        Self {
            baseline: counters,
            ..Self::default()
        }
    }

    /// The zone has moved: it had `last` counters, and has `first` ones now.
    #[must_use]
    pub fn moved(&self, last: &ZoneCounters, first: ZoneCounters) -> Self {
        Self {
            baseline: first,
            past: self.past.plus(&last.minus(&self.baseline)),
        }
    }

    /// Counts from here on start at zero, connections excepted.
    pub fn reset(&mut self, counters: ZoneCounters) {
        *self = Self::starting_at(counters);
    }

    /// What the API says about the zone.
    pub fn status(&self, zone: &Zone, reading: &ZoneReading) -> ZoneStatus {
        let now = &reading.counters;
        let counted = self.past.plus(&now.minus(&self.baseline));
        let since = |field: fn(&ZoneCounters) -> u64| field(&counted);
        ZoneStatus {
            zone: zone.name.clone(),
            key: zone.key.text.clone(),
            v4_prefix: zone.client_prefixes().map(|it| it.v4),
            v6_prefix: zone.client_prefixes().map(|it| it.v6),
            on_full: zone.on_full,
            capacity: zone.capacity(),
            keys: reading.keys,
            connections: now.opened.saturating_sub(now.closed),
            passed: since(|c| c.passed),
            skipped: since(|c| c.skipped),
            rejected: since(|c| c.rejected),
            rejected_dry_run: since(|c| c.rejected_dry_run),
            exhausted: since(|c| c.exhausted),
            exhausted_dry_run: since(|c| c.exhausted_dry_run),
            syn_retransmits: since(|c| c.syn_retransmits),
            excess: since(|c| c.excess),
            untracked: since(|c| c.untracked),
            evicted: since(|c| c.evicted),
            drift: since(|c| c.drift),
            memory_bytes: reading.memory_bytes,
            top: None,
            top_rejected: None,
        }
    }
}

/// The books of a policy's zones, from those of the zones of before.
pub fn next(
    policy: &Policy,
    applied: &Applied,
    book_of: impl Fn(&str) -> ZoneBook,
) -> Vec<ZoneBook> {
    let zones = policy.zones.iter().zip(&applied.zones);
    let books = zones.map(|(zone, applied)| match applied.origin {
        Origin::Kept => book_of(&zone.name),
        Origin::Resized { .. } | Origin::Carried => {
            book_of(&zone.name).moved(&applied.past, applied.start)
        }
        Origin::OtherKey | Origin::New => ZoneBook::starting_at(applied.start),
    });
    books.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::view::tests::policy;

    fn reading(counters: ZoneCounters) -> ZoneReading {
        ZoneReading {
            counters,
            keys: 2,
            memory_bytes: 4096,
        }
    }

    #[test]
    fn a_reset_spares_what_is_open() {
        let zone = &policy().zones[0];
        let mut book = ZoneBook::default();
        let mut counters = ZoneCounters {
            passed: 10,
            rejected: 3,
            evicted: 1,
            opened: 10,
            closed: 4,
            ..ZoneCounters::default()
        };
        let before = book.status(zone, &reading(counters));
        assert_eq!(
            (before.passed, before.rejected, before.connections),
            (10, 3, 6)
        );
        assert_eq!(before.capacity, 163_840);

        book.reset(counters);
        let after = book.status(zone, &reading(counters));
        assert_eq!((after.passed, after.rejected, after.evicted), (0, 0, 0));
        assert_eq!((after.connections, after.keys), (6, 2));

        counters.rejected += 1;
        counters.closed += 1;
        let later = book.status(zone, &reading(counters));
        assert_eq!((later.rejected, later.connections), (1, 5));
    }

    #[test]
    fn a_zone_that_moves_keeps_its_counts() {
        let zone = &policy().zones[0];
        let counters = |passed, opened, closed| ZoneCounters {
            passed,
            opened,
            closed,
            ..ZoneCounters::default()
        };
        let mut book = ZoneBook::default();
        book.reset(counters(2, 2, 0));
        // Where it moves to, another zone has counted before.
        let moved = book.moved(&counters(10, 10, 10), counters(100, 200, 200));
        let status = moved.status(zone, &reading(counters(103, 206, 201)));
        assert_eq!((status.passed, status.connections), (8 + 3, 5));
        let again = moved.moved(&counters(104, 206, 206), counters(0, 0, 0));
        let status = again.status(zone, &reading(counters(1, 6, 0)));
        assert_eq!((status.passed, status.connections), (8 + 4 + 1, 6));
    }

    #[test]
    fn books_are_read_as_they_were_written() {
        let mut counters = [0; 13];
        for (index, counter) in counters.iter_mut().enumerate() {
            *counter = u64::MAX - index as u64;
        }
        let book = ZoneBook {
            baseline: ZoneCounters::from_array(counters),
            past: ZoneCounters {
                passed: 7,
                drift: 3,
                ..ZoneCounters::default()
            },
        };
        let json = to_json([("addr", &book)].into_iter());
        let text = serde_json::to_string(&json).expect("JSON");
        let read = from_json(&serde_json::from_str(&text).expect("JSON"));
        assert_eq!(read["addr"].baseline.to_array(), counters);
        assert_eq!(read["addr"].past, book.past);
        assert!(from_json(&serde_json::Value::Null).is_empty());
    }

    #[test]
    fn a_close_that_is_read_before_its_open_is_not_a_huge_number() {
        let counters = ZoneCounters {
            opened: 4,
            closed: 5,
            ..ZoneCounters::default()
        };
        let status = ZoneBook::default().status(&policy().zones[0], &reading(counters));
        assert_eq!(status.connections, 0);
    }
}
