//! Slots of one key.

use std::vec::Vec;

use super::*;

#[test]
fn the_limit_is_the_limit() {
    let table = Table::new(8, 8);
    let slots: Vec<_> = (0..10).filter_map(|_| take_one(&table, 1, 10)).collect();
    assert_eq!(slots.len(), 10);
    assert_eq!(
        take(&table, &key(1), 10, Mode::Enforce),
        Slot::Full { connections: 10 }
    );
    assert!(matches!(
        peek(&table, &key(1), 10),
        Peek::Full {
            connections: 10,
            ..
        }
    ));
    assert!(release(&table, &key(1), slots[0]));
    assert_eq!(peek(&table, &key(1), 10), Peek::Room);
    assert!(take_one(&table, 1, 10).is_some());
}

#[test]
fn counting_goes_beyond_the_limit_and_back() {
    let table = Table::new(8, 8);
    let slots: Vec<_> = (0..20)
        .map(|_| match take(&table, &key(1), 10, Mode::Count) {
            Slot::Taken { generation, .. } => generation,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(table.connections(), 20);
    for generation in slots {
        assert!(release(&table, &key(1), generation));
    }
    assert_eq!((table.connections(), table.live_keys()), (0, 0));
}

#[test]
fn a_full_zone_refuses_new_keys_and_only_those() {
    let table = Table::new(3, 8);
    for n in 0..3 {
        assert!(take_one(&table, n, 10).is_some());
    }
    assert_eq!(take(&table, &key(3), 10, Mode::Enforce), Slot::Exhausted);
    assert_eq!(take(&table, &key(3), 10, Mode::Count), Slot::Exhausted);
    assert_eq!(peek(&table, &key(3), 10), Peek::Exhausted);
    assert!(take_one(&table, 2, 10).is_some());
    assert_eq!(table.live_keys(), 3);
}

#[test]
fn a_slot_goes_back_to_its_own_generation_only() {
    let table = Table::new(4, 0);
    let first = take_one(&table, 1, 10).expect("room");
    assert!(release(&table, &key(1), first));
    let second = take_one(&table, 1, 10).expect("room");
    assert_ne!(first, second);
    assert!(!release(&table, &key(1), first));
    assert!(!release(&table, &key(2), second));
    assert_eq!(table.connections(), 1);
}

#[test]
fn idle_keys_stay_only_as_long_as_there_is_room_for_them() {
    let table = Table::new(8, 2);
    for n in 0..6 {
        let generation = take_one(&table, n, 10).expect("room");
        assert!(release(&table, &key(n), generation));
    }
    assert_eq!(table.entries.load(SeqCst), 2);
    assert_eq!(table.index.lock().expect("not poisoned").places.len(), 2);
    // An idle key comes back to life without a new entry.
    assert!(take_one(&table, 0, 10).is_some());
    assert_eq!(table.entries.load(SeqCst), 2);
}

/// More threads than keys, elements reused at once, and each key removed as soon as it is idle: the
/// races that the module speaks of happen all the time.
#[test]
fn nothing_is_lost_and_nothing_is_over_the_limit_under_contention() {
    const NUMBER: u32 = 3;
    const KEYS: u32 = 5;
    const ROUNDS: u32 = 20_000;
    for idle in [0, 1, 64] {
        let table = Table::new(4, idle);
        let holders: Vec<_> = (0..KEYS).map(|_| AtomicU32::new(0)).collect();
        thread::scope(|scope| {
            for seed in 1..=6_u32 {
                let (table, holders) = (&table, &holders);
                scope.spawn(move || {
                    let mut random = seed.wrapping_mul(0x9e37_79b9);
                    let mut held: Vec<(u32, u32)> = Vec::new();
                    for _ in 0..ROUNDS {
                        random ^= random << 13;
                        random ^= random >> 17;
                        random ^= random << 5;
                        let n = random % KEYS;
                        if random & 0x100 == 0 {
                            if let Some(generation) = take_one(table, n, NUMBER) {
                                let now = holders[n as usize].fetch_add(1, SeqCst) + 1;
                                assert!(now <= NUMBER, "{now} hold key {n}");
                                held.push((n, generation));
                            }
                        } else if let Some((n, generation)) = held.pop() {
                            holders[n as usize].fetch_sub(1, SeqCst);
                            assert!(release(table, &key(n), generation), "key {n} was lost");
                        }
                    }
                    for (n, generation) in held {
                        holders[n as usize].fetch_sub(1, SeqCst);
                        assert!(release(table, &key(n), generation), "key {n} was lost");
                    }
                });
            }
        });
        assert_eq!(table.connections(), 0);
        assert_eq!(table.live_keys(), 0);
        let index = table.index.lock().expect("not poisoned");
        assert_eq!(table.entries.load(SeqCst), index.places.len() as u64);
        assert!(index.places.len() as u64 <= idle);
    }
}

#[test]
fn so_many_may_wait_as_have_a_slot() {
    let table = Table::new(4, 0);
    assert_eq!(begin_wait(&table, &key(1), 2), None, "no entry, no waiting");
    let slot = take_one(&table, 1, 2).expect("room");
    let entry = (&table).find(&key(1)).expect("there");
    let first = begin_wait(&table, &key(1), 2).expect("room");
    assert!(may_wait(&table, entry, 2));
    assert_eq!(begin_wait(&table, &key(1), 2), Some(first));
    assert!(!may_wait(&table, entry, 2));
    assert_eq!(begin_wait(&table, &key(1), 2), None);
    // Waiting takes no slot.
    assert_eq!(table.connections(), 1);
    end_wait(&table, &key(1), first);
    assert!(may_wait(&table, entry, 2));

    // In its next life the entry has nobody waiting, and those of the last one change nothing.
    assert!(release(&table, &key(1), slot));
    take_one(&table, 1, 2).expect("room");
    let second = begin_wait(&table, &key(1), 1).expect("room");
    assert_ne!(first, second);
    end_wait(&table, &key(1), first);
    assert_eq!(begin_wait(&table, &key(1), 1), None);
    end_wait(&table, &key(1), second);
    end_wait(&table, &key(1), second);
    assert_eq!(begin_wait(&table, &key(1), 1), Some(second));
}

#[test]
fn slots_survive_the_way_through_a_word() {
    let generation = 1 << 31 | 5;
    for slot in [
        Slot::Taken {
            generation,
            before: u32::MAX,
        },
        Slot::Full {
            connections: u32::MAX,
        },
        Slot::Full { connections: 0 },
        Slot::Exhausted,
        Slot::Contended,
    ] {
        assert_eq!(Slot::from_word(slot.to_word()), slot);
    }
}
