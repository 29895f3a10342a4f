//! What the scenarios have in common.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use limiter_common::{
    addr::Addr,
    admission::{Mode, Peek, Slot, Word as _, Zone, peek, release, take, watch},
    key::{Connection, KeyFields, KeyShape, ZoneKey},
};
use loom::{model::Builder, thread};

use super::{
    mutants::{Mutation, View},
    table::Table,
};

/// Preemptions at the most, where all interleavings are too many. Each thread may besides be left at
/// its end. More with LOOM_MAX_PREEMPTIONS, and some ten times as much time for each.
pub const BOUND: usize = 3;

/// Runs a scenario in all interleavings, or in those with at most so many preemptions.
pub fn explore(bound: Option<usize>, scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = bound.map(|bound| builder.preemption_bound.unwrap_or(bound));
    builder.max_branches = 10_000;
    builder.check(scenario);
}

/// What one thread does.
pub type Task<T> = Box<dyn FnOnce(&T) + Send>;

/// What another thread than that of the caller does.
pub fn task<T>(task: impl FnOnce(&T) + Send + 'static) -> Task<T> {
    Box::new(task)
}

/// Runs these at the same time, `own` in the thread of the caller, and waits for all.
pub fn at_once<T: Send + Sync + 'static>(
    shared: &Arc<T>,
    others: impl IntoIterator<Item = Task<T>>,
    own: impl FnOnce(&T),
) {
    let threads: Vec<_> = others
        .into_iter()
        .map(|other| {
            let shared = Arc::clone(shared);
            thread::spawn(move || other(&shared))
        })
        .collect();
    own(shared);
    for thread in threads {
        thread.join().expect("it did not fail");
    }
}

/// A client that has the key of this number.
pub fn connection(number: u32) -> Connection {
    Connection {
        remote: Addr::from_v4_word(number),
        ..Connection::default()
    }
}

/// The key of this number.
pub fn key(number: u32) -> ZoneKey {
    let shape = KeyShape::whole(KeyFields::REMOTE_ADDR);
    ZoneKey::new(shape, &connection(number), 0)
}

/// A zone, and who holds slots of it.
pub struct Scene {
    pub table: Table,
    mutation: Mutation,
    limit: u32,
    /// By key and generation. Counted up after a slot is taken and down before it is given back, so
    /// that it never shows more than there are. No access to it is a step of the interleaving.
    held: Mutex<BTreeMap<(u32, u32), u32>>,
}

/// A slot.
#[derive(Clone, Copy)]
pub struct Held {
    key: u32,
    generation: u32,
}

impl Scene {
    /// With the limit `limit` for every key.
    pub fn new(table: Table, limit: u32, mutation: Mutation) -> Arc<Self> {
        Arc::new(Self {
            table,
            mutation,
            limit,
            held: Mutex::default(),
        })
    }

    /// Takes a slot, if there is one.
    pub fn take(&self, number: u32) -> Option<Held> {
        match self.try_take(number) {
            Slot::Taken { generation, .. } => Some(Held {
                key: number,
                generation,
            }),
            Slot::Full { .. } | Slot::Exhausted | Slot::Contended => None,
        }
    }

    /// Tells why there is none, too.
    pub fn try_take(&self, number: u32) -> Slot {
        let found = Cell::new(None);
        let slot = take(self.zone(&found), &key(number), self.limit, Mode::Enforce);
        if let Slot::Taken { generation, .. } = slot {
            let mut held = self.held.lock().expect("nobody has failed");
            let count = held.entry((number, generation)).or_default();
            *count += 1;
            assert!(*count <= self.limit, "over the limit of key {number}");
            if !self.table.evicts() {
                let live = held.values().filter(|count| **count > 0).count();
                assert!(
                    live as u64 <= self.table.capacity(),
                    "over the zone's capacity"
                );
            }
        }
        slot
    }

    /// Gives a slot back. `false`: the kernel has thrown its entry out.
    pub fn release(&self, slot: Held) -> bool {
        let mut held = self.held.lock().expect("nobody has failed");
        let count = held.get_mut(&(slot.key, slot.generation));
        *count.expect("it was taken") -= 1;
        drop(held);
        let found = Cell::new(None);
        release(self.zone(&found), &key(slot.key), slot.generation)
    }

    /// What an interface remembers when it refuses this key: [`Zone::freed`], watched before.
    pub fn refusal(&self, number: u32) -> Option<u64> {
        let freed = watch(&self.table);
        let found = peek(&self.table, &key(number), self.limit);
        matches!(found, Peek::Full { .. }).then_some(freed)
    }

    /// Whether it refuses the key still, without looking it up.
    pub fn stands(&self, freed: u64) -> bool {
        (&self.table).freed().load() == freed
    }

    /// What the code that is checked gets.
    fn zone<'a>(&'a self, found: &'a Cell<Option<usize>>) -> View<'a> {
        View {
            table: &self.table,
            mutation: self.mutation,
            found,
        }
    }

    /// At the end: each entry counts who holds a slot of it, and the zone counts its entries.
    /// Connections of each key that has an entry.
    pub fn end(&self) -> BTreeMap<u32, u32> {
        let keys = self.table.exact_end();
        let held = self.held.lock().expect("nobody has failed");
        for (key, occupancy) in &keys {
            let holders = held.get(&(*key, occupancy.generation));
            let holders = holders.copied().unwrap_or_default();
            assert_eq!(holders, occupancy.connections, "holders of key {key}");
        }
        if !self.table.evicts() {
            let holders: u32 = held.values().sum();
            let counted: u32 = keys.values().map(|it| it.connections).sum();
            assert_eq!(holders, counted, "nobody's entry is gone");
        }
        keys.iter()
            .map(|(key, occupancy)| (*key, occupancy.connections))
            .collect()
    }
}

/// Tries to take a slot of this key.
pub fn comes(number: u32) -> Task<Scene> {
    task(move |scene: &Scene| {
        scene.take(number);
    })
}

/// Takes a slot of this key if there is one, and gives it back.
pub fn comes_and_goes(number: u32) -> Task<Scene> {
    task(move |scene: &Scene| {
        if let Some(slot) = scene.take(number) {
            assert!(scene.release(slot));
        }
    })
}
