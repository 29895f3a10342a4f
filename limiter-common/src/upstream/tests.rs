//! Taking, noting and giving back.

extern crate std;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::vec::Vec;

use super::*;

#[derive(Clone, Copy)]
struct Shared<'a>(&'a AtomicU64);

impl Word for Shared<'_> {
    fn load(self) -> u64 {
        self.0.load(SeqCst)
    }

    fn compare_exchange(self, current: u64, new: u64) -> u64 {
        let result = self.0.compare_exchange(current, new, SeqCst, SeqCst);
        result.unwrap_or_else(|found| found)
    }

    fn fetch_add(self, n: u64) -> u64 {
        self.0.fetch_add(n, SeqCst)
    }
}

#[test]
fn exactly_so_many_get_a_slot() {
    let word = AtomicU64::new(0);
    let taken: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let tries = (0..100).filter(|_| take(Shared(&word), 8).is_taken);
                    tries.count() as u64
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|it| it.join().expect("no panic"))
            .sum()
    });
    assert_eq!((taken, word.load(SeqCst)), (8, 8));
}

#[test]
fn without_a_limit_everybody_gets_one() {
    let word = AtomicU64::new(7);
    assert!(take(Shared(&word), 0).is_taken);
    assert_eq!(word.load(SeqCst), 8);
}

#[test]
fn what_is_not_confirmed_is_given_back_once_whoever_comes_first() {
    let (word, connections) = (AtomicU64::new(0), AtomicU64::new(3));
    let word = Shared(&word);
    let note_at = |now| note(word, Shared(&connections), now);
    assert!(note_at(8) && note_at(8) && note_at(8));
    // One is confirmed. The others may still be.
    assert!(withdraw(word, 8));
    assert_eq!(give_up(word, 9), 0);
    assert_eq!(give_up(word, 10), 2);
    assert_eq!(give_up(word, 10), 0);
    // Too late: it has to take its slot anew.
    assert!(!withdraw(word, 8));
    // The word of another epoch gives back what is left of the last one.
    assert!(note_at(12));
    assert_eq!(connections.load(SeqCst), 3);
    assert!(note_at(16));
    assert_eq!(connections.load(SeqCst), 2);
    assert!(!withdraw(word, 12));
    assert!(!note_at(12));
    assert!(withdraw(word, 16));
}

#[test]
fn what_has_failed_is_not_shown() {
    let mut state = UpstreamState {
        connections: 5,
        ..UpstreamState::default()
    };
    state.unconfirmed[0] = 8 << NUMBER_BITS | 2;
    state.unconfirmed[1] = 9 << NUMBER_BITS | 1;
    assert_eq!([9, 10, 11].map(|now| state.active(now)), [5, 3, 2]);
}

#[test]
fn a_slot_is_given_back_once() {
    let held = AtomicU64::new(6);
    assert_eq!(take_out(Shared(&held)), Some(5));
    assert_eq!(take_out(Shared(&held)), None);
}
