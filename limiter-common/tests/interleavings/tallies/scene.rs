//! A tally, who counts in it, and who brings and reads what is there.

use std::sync::{Arc, Mutex};

use limiter_common::{
    addr::Addr,
    admission::Word,
    key::{Connection, KeyFields, KeyShape, ZoneKey},
    tally::{Owner, Shared as Tally, State, bring, count, give_to},
};
use loom::sync::atomic::AtomicU64;

use crate::words::Shared;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    None,
    /// The version never changes.
    OneVersion,
    /// What is taken is not marked so.
    NotMarked,
}

const KEYS: usize = 3;

/// A tally, and the entries of its keys.
pub struct Scene {
    word: AtomicU64,
    /// Two halves of the owner's key: who reads it may find half of another one.
    owner: [AtomicU64; 2],
    entries: [AtomicU64; KEYS],
    /// Of each key. No access to it is a step of the interleaving.
    counted: Mutex<[Counted; KEYS]>,
    /// The key that the program counts for.
    leased: Mutex<usize>,
    mutation: Mutation,
}

#[derive(Clone, Copy, Default)]
pub struct Counted {
    pub begun: u64,
    pub done: u64,
    /// As whoever has brought it says.
    brought: u64,
}

#[derive(Clone, Copy)]
struct Handle<'a>(&'a Scene);

#[derive(Clone, Copy)]
struct Wrong<'a> {
    word: Shared<'a>,
    mutation: Mutation,
}

impl Word for Wrong<'_> {
    fn load(self) -> u64 {
        self.word.load()
    }

    fn compare_exchange(self, current: u64, new: u64) -> u64 {
        let unmarked = State {
            is_taken: false,
            ..State::from_word(new)
        };
        match self.mutation {
            Mutation::NotMarked => self.word.compare_exchange(current, unmarked.word()),
            _ => self.word.compare_exchange(current, new),
        }
    }

    fn fetch_add(self, n: u64) -> u64 {
        // What marks the end of a step.
        let is_end = n > u64::from(u32::MAX / 2);
        match self.mutation {
            Mutation::OneVersion if is_end => self.word.fetch_add(n.wrapping_sub(1 << 32)),
            Mutation::NotMarked if is_end => self.word.fetch_add(1 << 32),
            _ => self.word.fetch_add(n),
        }
    }
}

impl<'a> Tally for Handle<'a> {
    type Word = Wrong<'a>;

    fn word(self) -> Wrong<'a> {
        Wrong {
            word: Shared(&self.0.word),
            mutation: self.0.mutation,
        }
    }

    fn owner(self) -> Owner {
        let [one, other] = &self.0.owner;
        owner(Shared(one).load(), Shared(other).load())
    }

    fn set_owner(self, owner: &Owner) {
        let [one, other] = &self.0.owner;
        Shared(one).store(owner.key.remote().halves()[1]);
        Shared(other).store(owner.key.local().halves()[1]);
    }
}

/// The owner whose key has these halves.
fn owner(one: u64, other: u64) -> Owner {
    let connection = Connection {
        remote: Addr::from_halves([0, one]),
        local: Addr::from_halves([0, other]),
        ..Connection::default()
    };
    let shape = KeyShape::whole(KeyFields::REMOTE_ADDR.union(KeyFields::SERVER_ADDR));
    Owner {
        key: ZoneKey::new(shape, &connection, 0),
        ..Owner::default()
    }
}

fn key(number: usize) -> ZoneKey {
    let half = number as u64;
    owner(half, half).key
}

impl Scene {
    pub fn new(mutation: Mutation) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU64::new(0),
            owner: [(); 2].map(|()| AtomicU64::new(0)),
            entries: [(); KEYS].map(|()| AtomicU64::new(0)),
            counted: Mutex::default(),
            leased: Mutex::default(),
            mutation,
        })
    }

    /// For the owner whose refusals have been taken.
    pub fn add_to_entry(&self, count: u64) -> u64 {
        let owner = Handle(self).owner();
        let [_, number] = owner.key.remote().halves();
        assert_eq!(owner.key, key(number as usize), "half of another owner");
        Shared(&self.entries[number as usize]).fetch_add(count);
        count
    }

    /// What the program on the interface does to count for this key.
    pub fn lease(&self, number: usize) -> bool {
        let tally = Handle(self);
        let mut leased = self.leased.lock().expect("nobody has failed");
        self.bring(*leased, |_| true);
        let half = number as u64;
        let is_given = give_to(tally, &owner(half, half));
        if is_given {
            *leased = number;
        }
        is_given
    }

    pub fn bring(&self, number: usize, is_mine: impl Fn(&Owner) -> bool) {
        let brought = bring(Handle(self), is_mine, |n| self.add_to_entry(n));
        self.counted.lock().expect("nobody has failed")[number].brought += brought;
    }

    pub fn count(&self, number: usize) {
        self.counted.lock().expect("nobody has failed")[number].begun += 1;
        count(Handle(self));
        self.counted.lock().expect("nobody has failed")[number].done += 1;
    }

    /// What whoever has claimed an event about this key does.
    pub fn gather(&self, number: usize) {
        self.bring(number, |owner| owner.is_key(0, &key(number)));
    }

    pub fn counted(&self, number: usize) -> Counted {
        self.counted.lock().expect("nobody has failed")[number]
    }

    /// What the daemon reads: all refusals of the key, unless something is on its way.
    pub fn read(&self, number: usize) -> Option<u64> {
        let tally = Handle(self);
        let before = State::from_word(tally.word().load());
        let is_mine = tally.owner().is_key(0, &key(number));
        let known = Shared(&self.entries[number]).load();
        let after = State::from_word(tally.word().load());
        let is_at_rest = !before.is_taken && !after.is_taken && before.version == after.version;
        let untold = if is_mine { before.count } else { 0 };
        is_at_rest.then_some(known + u64::from(untold))
    }

    /// At the end nothing has been lost or brought twice.
    pub fn end(&self) {
        for number in 0..KEYS {
            let read = self.read(number).expect("nobody is at it");
            let Counted { done, brought, .. } = self.counted(number);
            assert_eq!(read, done, "refusals of key {number}");
            let known = Shared(&self.entries[number]).load();
            assert_eq!(brought, known, "brought for key {number}");
        }
    }
}
