//! The counting with one thing wrong, to see that it would be found.

use std::cell::Cell;

use limiter_common::{
    admission::{Word, Zone},
    entry::Occupancy,
    key::ZoneKey,
};

use super::{
    slots,
    table::Table,
    words::{Shared, SharedHalf},
};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Nothing.
    None,
    /// A word is written with a store after it has been compared, not in one step.
    TornExchange,
    /// Adding is a load and a store.
    TornAdd,
    /// Whoever has taken a slot does not look again whether the entry is still the key's.
    NoSecondLook,
    /// All lives of an entry have the same number.
    OneGeneration,
}

/// A zone in which this is wrong, for one call.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub table: &'a Table,
    pub mutation: Mutation,
    /// What the look-up before has found.
    pub found: &'a Cell<Option<usize>>,
}

#[derive(Clone, Copy)]
pub struct Wrong<'a> {
    word: Shared<'a>,
    mutation: Mutation,
    is_generation: bool,
}

impl Word for Wrong<'_> {
    fn load(self) -> u64 {
        self.word.load()
    }

    fn compare_exchange(self, current: u64, new: u64) -> u64 {
        if self.mutation != Mutation::TornExchange {
            return self.word.compare_exchange(current, new);
        }
        let was = self.word.load();
        if was == current {
            self.word.store(new);
        }
        was
    }

    fn fetch_add(self, n: u64) -> u64 {
        match self.mutation {
            Mutation::OneGeneration if self.is_generation => 0,
            Mutation::TornAdd => {
                let was = self.word.load();
                self.word.store(was.wrapping_add(n));
                was
            }
            _ => self.word.fetch_add(n),
        }
    }
}

impl<'a> View<'a> {
    fn wrong(self, word: Shared<'a>) -> Wrong<'a> {
        Wrong {
            word,
            mutation: self.mutation,
            is_generation: false,
        }
    }
}

impl<'a> Zone for View<'a> {
    type Word = Wrong<'a>;
    type HalfWord = SharedHalf<'a>;
    type Entry = usize;

    fn find(self, key: &ZoneKey) -> Option<usize> {
        if self.mutation == Mutation::NoSecondLook
            && let Some(found) = self.found.take()
        {
            return Some(found);
        }
        self.found.set(self.table.find(key));
        self.found.get()
    }

    fn insert(self, key: &ZoneKey, occupancy: Occupancy) -> bool {
        self.table.insert(key, occupancy)
    }

    fn remove(self, key: &ZoneKey) {
        self.table.remove(key);
    }

    fn occupancy(self, entry: usize) -> Wrong<'a> {
        self.wrong(self.table.occupancy(entry))
    }

    fn waiting(self, entry: usize) -> SharedHalf<'a> {
        self.table.waiting(entry)
    }

    fn recount(self, entry: usize) -> Wrong<'a> {
        self.wrong(self.table.recount(entry))
    }

    fn live_recount(self) -> Wrong<'a> {
        self.wrong(self.table.live_recount())
    }

    fn slot_recount(self) -> Wrong<'a> {
        self.wrong(self.table.slot_recount())
    }

    fn freed(self) -> Wrong<'a> {
        self.wrong(self.table.freed())
    }

    fn live(self) -> Wrong<'a> {
        self.wrong(self.table.live())
    }

    fn entries(self) -> Wrong<'a> {
        self.wrong(self.table.entries())
    }

    fn generation(self) -> Wrong<'a> {
        Wrong {
            is_generation: true,
            ..self.wrong(self.table.generation())
        }
    }

    fn capacity(self) -> u64 {
        self.table.capacity()
    }

    fn room(self) -> u64 {
        self.table.room()
    }

    fn idle(self) -> u64 {
        self.table.idle()
    }

    fn evicts(self) -> bool {
        self.table.evicts()
    }
}

#[test]
#[should_panic(expected = "over the limit of key 0")]
fn an_exchange_in_two_steps_is_found() {
    slots::two_come_for_the_last_slot(Mutation::TornExchange);
}

#[test]
#[should_panic(expected = "over the zone's capacity")]
fn an_addition_in_two_steps_is_found() {
    slots::two_new_keys(Mutation::TornAdd);
}

#[test]
#[should_panic(expected = "holders of key")]
fn a_forgotten_second_look_is_found() {
    slots::another_key_in_its_element(Mutation::NoSecondLook);
}

#[test]
#[should_panic(expected = "holders of key 0")]
fn lives_of_one_number_are_found() {
    slots::evicted_and_anew(Mutation::OneGeneration);
}
