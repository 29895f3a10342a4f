//! Tallies: what the program on an interface counts, others bring to the entries meanwhile.

mod scene;

use self::scene::{Mutation, Scene};
use super::alike::{BOUND, Task, at_once, explore, task};

fn gathers(number: usize) -> Task<Scene> {
    task(move |it: &Scene| it.gather(number))
}

#[test]
fn what_is_brought_while_it_is_counted_is_neither_lost_nor_doubled() {
    explore(None, || {
        let scene = Scene::new(Mutation::None);
        assert!(scene.lease(1));
        scene.count(1);
        at_once(&scene, [gathers(1)], |it| it.count(1));
        scene.end();
    });
}

#[test]
fn of_two_who_gather_one_gets_it() {
    explore(Some(BOUND), || {
        let scene = Scene::new(Mutation::None);
        assert!(scene.lease(1));
        scene.count(1);
        at_once(&scene, [gathers(1), gathers(1)], |it| it.count(1));
        scene.end();
    });
}

#[test]
fn a_tally_that_becomes_another_keys_is_brought_to_its_own_entries() {
    explore(Some(BOUND), || {
        let scene = Scene::new(Mutation::None);
        assert!(scene.lease(1));
        scene.count(1);
        at_once(&scene, [gathers(1), gathers(2)], |it| {
            if it.lease(2) {
                it.count(2);
            }
        });
        scene.end();
    });
}

/// The program may lease it back to the first key, which then has as many refusals as before.
#[test]
fn a_tally_that_comes_back_is_not_taken_for_what_it_was() {
    comes_back(Mutation::None);
}

fn comes_back(mutation: Mutation) {
    explore(Some(BOUND), move || {
        let scene = Scene::new(mutation);
        assert!(scene.lease(1));
        scene.count(1);
        at_once(&scene, [gathers(1)], |it| {
            for number in [2, 1] {
                if it.lease(number) {
                    it.count(number);
                }
            }
        });
        scene.end();
    });
}

#[test]
fn who_reads_finds_every_refusal_once() {
    reads(Mutation::None);
}

fn reads(mutation: Mutation) {
    explore(Some(BOUND), move || {
        let scene = Scene::new(mutation);
        assert!(scene.lease(1));
        scene.count(1);
        let counts = task(|it: &Scene| {
            it.count(1);
            if it.lease(2) {
                it.count(2);
            }
        });
        at_once(&scene, [counts, gathers(1)], |it| {
            for number in [1, 2] {
                let least = it.counted(number).done;
                let read = it.read(number);
                let most = it.counted(number).begun;
                if let Some(read) = read {
                    assert!((least..=most).contains(&read), "read {read}");
                }
            }
        });
        scene.end();
    });
}

#[test]
#[should_panic(expected = "brought for key")]
fn a_version_that_does_not_change_is_found() {
    comes_back(Mutation::OneVersion);
}

#[test]
#[should_panic(expected = "half of another owner")]
fn a_tally_that_is_not_marked_is_found() {
    reads(Mutation::NotMarked);
}
