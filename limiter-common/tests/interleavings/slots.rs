//! Slots of one zone. Each scenario is a function of what is wrong, see [`super::mutants`].

use limiter_common::admission::{Mode, Slot, begin_wait, end_wait, release, take};

use super::{
    alike::{BOUND, Scene, at_once, comes, comes_and_goes, explore, key, task},
    mutants::Mutation,
    table::{Settings, Table},
};

/// A zone with so many keys. Its map has an element more for each of three threads, which may have
/// taken one and not yet linked it.
fn zone(keys: usize, settings: Settings) -> Table {
    Table::new(keys, keys + 3, settings)
}

#[test]
fn of_two_at_once_one_gets_the_only_slot_of_a_new_key() {
    explore(None, || {
        let scene = Scene::new(zone(1, Settings::capacity(2)), 1, Mutation::None);
        at_once(&scene, [comes(0)], |it| {
            it.take(0);
        });
        assert_eq!(scene.end(), [(0, 1)].into());
    });
}

#[test]
fn of_two_at_once_one_gets_the_last_slot_of_a_key() {
    two_come_for_the_last_slot(Mutation::None);
}

pub fn two_come_for_the_last_slot(mutation: Mutation) {
    explore(None, move || {
        let scene = Scene::new(zone(1, Settings::capacity(2)), 2, mutation);
        let _slot = scene.take(0).expect("room");
        at_once(&scene, [comes(0)], |it| {
            it.take(0);
        });
        assert_eq!(scene.end(), [(0, 2)].into());
    });
}

#[test]
fn of_three_at_once_two_get_the_two_slots() {
    explore(Some(BOUND), || {
        let scene = Scene::new(zone(1, Settings::capacity(3)), 2, Mutation::None);
        at_once(&scene, [comes(0), comes(0)], |it| {
            it.take(0);
        });
        assert_eq!(scene.end(), [(0, 2)].into());
    });
}

#[test]
fn a_slot_that_is_given_back_is_taken_or_not_and_counts_once() {
    for idle in [0, 1] {
        explore(None, move || {
            let settings = Settings {
                idle,
                ..Settings::capacity(2)
            };
            let scene = Scene::new(zone(1, settings), 1, Mutation::None);
            let slot = scene.take(0).expect("room");
            at_once(&scene, [comes(0)], |it| assert!(it.release(slot)));
            scene.end();
        });
    }
}

/// What an interface remembers of a client at its limit is forgotten when a slot has been given back.
#[test]
fn a_refusal_that_stands_ends_with_a_slot_that_is_given_back() {
    for idle in [0, 1] {
        explore(None, move || {
            let settings = Settings {
                idle,
                ..Settings::capacity(1)
            };
            let scene = Scene::new(zone(1, settings), 2, Mutation::None);
            let [one, _other] = [(); 2].map(|()| scene.take(0).expect("room"));
            let mut remembered = None;
            let leaves = task(move |it: &Scene| assert!(it.release(one)));
            at_once(&scene, [leaves], |it| remembered = it.refusal(0));
            assert!(!remembered.is_some_and(|it| scene.stands(it)));
            // Of two who remember, each sees what comes after.
            let _again = scene.take(0).expect("room");
            let refused = scene.refusal(0).expect("the key is at its limit");
            assert!(scene.stands(refused));
        });
    }
}

/// The last slot is given back, the entry removed, and made anew.
#[test]
fn whoever_leaves_last_and_whoever_comes_agree_on_the_entry() {
    explore(Some(BOUND), || {
        let scene = Scene::new(zone(1, Settings::capacity(2)), 2, Mutation::None);
        let [one, other] = [(); 2].map(|()| scene.take(0).expect("room"));
        let leaves = task(move |it: &Scene| assert!(it.release(one)));
        at_once(&scene, [leaves, comes_and_goes(0)], |it| {
            assert!(it.release(other));
        });
        assert!(scene.end().values().all(|connections| *connections == 0));
    });
}

/// An element is freed and holds another key at once, while somebody still has a pointer to it.
#[test]
fn an_element_that_is_used_for_another_key_counts_for_that_one_only() {
    another_key_in_its_element(Mutation::None);
}

pub fn another_key_in_its_element(mutation: Mutation) {
    explore(Some(BOUND), move || {
        let scene = Scene::new(zone(2, Settings::capacity(2)), 2, mutation);
        let slot = scene.take(0).expect("room");
        at_once(&scene, [comes(1), comes(0)], |it| {
            assert!(it.release(slot));
        });
        scene.end();
    });
}

#[test]
fn of_two_new_keys_one_gets_the_only_place_of_a_full_zone() {
    two_new_keys(Mutation::None);
}

pub fn two_new_keys(mutation: Mutation) {
    explore(None, move || {
        let scene = Scene::new(zone(2, Settings::capacity(1)), 1, mutation);
        let other = task(|it: &Scene| {
            let slot = it.try_take(1);
            let is_expected = matches!(slot, Slot::Taken { .. } | Slot::Exhausted);
            assert!(is_expected, "{slot:?}");
        });
        at_once(&scene, [other], |it| {
            it.take(0);
        });
        assert_eq!(scene.end().len(), 1);
    });
}

#[test]
fn the_place_of_a_key_that_goes_is_free_for_one_other() {
    for idle in [0, 1] {
        explore(Some(BOUND), move || {
            let settings = Settings {
                idle,
                ..Settings::capacity(1)
            };
            let scene = Scene::new(zone(3, settings), 1, Mutation::None);
            let slot = scene.take(0).expect("room");
            at_once(&scene, [comes(1), comes(2)], |it| assert!(it.release(slot)));
            let live = scene.end().values().filter(|count| **count > 0).count();
            assert!(live <= 1, "{live} live keys");
        });
    }
}

/// What the kernel has thrown out holds nothing, and gives nothing back to who came after.
#[test]
fn a_slot_of_an_evicted_entry_is_given_back_to_nobody() {
    evicted_and_anew(Mutation::None);
}

pub fn evicted_and_anew(mutation: Mutation) {
    explore(Some(BOUND), move || {
        let scene = Scene::new(zone(1, Settings::EVICTS), 2, mutation);
        let slot = scene.take(0).expect("room");
        let kernel = task(|it: &Scene| it.table.evict(0));
        at_once(&scene, [kernel, comes(0)], |it| {
            it.release(slot);
        });
        scene.end();
    });
}

/// The same, where the element is used for another key as soon as it is free.
#[test]
fn an_evicted_entry_comes_back_as_another_ones() {
    explore(Some(BOUND), || {
        let scene = Scene::new(Table::new(2, 1, Settings::EVICTS), 2, Mutation::None);
        let slot = scene.take(0).expect("room");
        at_once(&scene, [comes(1), comes(0)], |it| {
            it.release(slot);
        });
        scene.end();
    });
}

/// Dry run and adoption go beyond the limit; nobody else does because of them.
#[test]
fn whoever_is_counted_in_any_case_is_counted_once() {
    for mode in [Mode::Count, Mode::Adopt] {
        explore(Some(BOUND), move || {
            let scene = Scene::new(zone(1, Settings::capacity(2)), 1, Mutation::None);
            let slot = scene.take(0).expect("room");
            let in_any_case = task(move |it: &Scene| {
                // Unless others are quicker every time.
                if let Slot::Taken { generation, .. } = take(&it.table, &key(0), 1, mode) {
                    assert!(release(&it.table, &key(0), generation));
                }
            });
            at_once(&scene, [in_any_case, comes_and_goes(0)], |it| {
                assert!(it.release(slot));
            });
            assert!(scene.end().values().all(|connections| *connections == 0));
        });
    }
}

/// Connections that wait to be closed hold no slot, whatever becomes of the entry that counts them.
#[test]
fn who_waits_takes_no_slot_and_gives_none_back() {
    explore(Some(BOUND), || {
        let scene = Scene::new(zone(2, Settings::capacity(2)), 1, Mutation::None);
        let slot = scene.take(0).expect("room");
        let waits = task(|it: &Scene| {
            if let Some(generation) = begin_wait(&it.table, &key(0), 1) {
                end_wait(&it.table, &key(0), generation);
            }
        });
        at_once(&scene, [waits, comes(1)], |it| assert!(it.release(slot)));
        scene.end();
    });
}
