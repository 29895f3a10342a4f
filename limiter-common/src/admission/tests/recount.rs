//! Counting again while connections come and go.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU32, AtomicU64},
};

use super::*;
use crate::entry::Recount;

const PASS: u32 = 7;

/// As the programs see it: the word apart, the rest changed by its owner alone.
#[derive(Default)]
struct Shared {
    audited: AtomicU32,
    /// None: not counted.
    token: Mutex<Option<Token>>,
}

impl Shared {
    fn open(&self, zones: &Tables, n: u32, pass: u32) {
        let seen = Observed::default();
        let mut token = token_of(n);
        if pass != 0 {
            start(&self.audited, pass);
        }
        admit(
            zones,
            &OneMore,
            &seen,
            &two_limits(),
            Mode::Count,
            &mut token,
        );
        *self.token.lock().expect("not poisoned") = Some(token);
        if pass != 0 {
            for charge in held(&token) {
                assert!(zones.count_again(&token.connection, charge, pass));
            }
        }
    }

    fn close(&self, zones: &Tables, pass: u32) {
        let seen = Observed::default();
        let token = *self.token.lock().expect("not poisoned");
        let mut token = token.expect("it is open");
        if pass != 0 {
            part(zones, &self.audited, &token, pass);
        }
        *self.token.lock().expect("not poisoned") = None;
        discharge(zones, &seen, &mut token);
    }

    /// The walk comes by. `false`: it has collided.
    fn visit(&self, zones: &Tables, pass: u32) -> bool {
        let found = self.audited.load(SeqCst);
        let Some(token) = *self.token.lock().expect("not poisoned") else {
            return true;
        };
        if meet(&self.audited, found, pass) {
            for charge in held(&token) {
                zones.count_again(&token.connection, charge, pass);
            }
            return has_met(&self.audited, pass);
        }
        true
    }
}

fn held(token: &Token) -> Vec<Charge> {
    let charges = token.charges.iter();
    charges.filter(|it| it.generation != 0).copied().collect()
}

fn tables() -> Tables {
    Tables([Table::new(64, 8), Table::new(64, 8)])
}

/// Both counts of every key are the same, and so are those of live keys and of slots.
fn must_agree(zones: &Tables, pass: u32) {
    for table in &zones.0 {
        let index = table.index.lock().expect("not poisoned");
        let mut slots = 0;
        for &place in index.places.values() {
            let word = table.occupancies[place].load(SeqCst);
            let connections = Occupancy::from_word(word).connections;
            let again = Recount::count_of(table.recounts[place].load(SeqCst), pass);
            assert_eq!(i64::from(connections), i64::from(again));
            slots += again;
        }
        let of_pass = |word: &AtomicU64| Recount::count_of(word.load(SeqCst), pass);
        assert_eq!(table.live_keys(), of_pass(&table.live_recount) as u64);
        assert_eq!(slots, of_pass(&table.slot_recount));
    }
}

#[test]
fn the_word_gives_the_count_back() {
    for count in [i32::MIN, -1, 0, 1, i32::MAX] {
        let recount = Recount { pass: PASS, count };
        assert_eq!(Recount::from_word(recount.word()), recount);
        assert_eq!(Recount::count_of(recount.word(), PASS), count);
        assert_eq!(Recount::count_of(recount.word(), PASS + 1), 0);
    }
    assert_eq!(Recount::count_of(0, PASS), 0);
    // One more and one less do not touch the pass.
    let none = Recount {
        pass: PASS,
        count: 0,
    };
    let less = Recount::from_word(none.word().wrapping_sub(1));
    assert_eq!(
        less,
        Recount {
            pass: PASS,
            count: -1
        }
    );
}

#[test]
fn everybody_is_counted_once() {
    let zones = tables();
    let open: Vec<Shared> = (0..5).map(|_| Shared::default()).collect();
    for (n, one) in (0..).zip(&open) {
        one.open(&zones, n % 2, 0);
    }
    for _ in 0..2 {
        open.iter().for_each(|one| assert!(one.visit(&zones, PASS)));
        must_agree(&zones, PASS);
    }
    // The next pass begins with nothing.
    assert!(open[0].visit(&zones, PASS + 1));
    let again = zones.0[1].slot_recount.load(SeqCst);
    assert_eq!(Recount::count_of(again, PASS + 1), 1);
}

#[test]
fn who_comes_and_goes_during_a_pass_is_counted_as_long_as_it_is_there() {
    let zones = tables();
    let open: Vec<Shared> = (0..6).map(|_| Shared::default()).collect();
    open[0].open(&zones, 1, 0);
    open[1].open(&zones, 1, 0);
    open[2].open(&zones, 1, 0);
    // Goes before the walk comes by.
    open[0].close(&zones, PASS);
    assert!(open[0].visit(&zones, PASS));
    // Goes after.
    assert!(open[1].visit(&zones, PASS));
    open[1].close(&zones, PASS);
    // Comes before, and after.
    open[3].open(&zones, 2, PASS);
    assert!(open[2].visit(&zones, PASS));
    assert!(open[3].visit(&zones, PASS));
    open[4].open(&zones, 1, PASS);
    must_agree(&zones, PASS);
    // The socket of one that has gone is used again.
    open[0].open(&zones, 3, PASS);
    assert!(open[0].visit(&zones, PASS));
    must_agree(&zones, PASS);
}

#[test]
fn one_who_parts_while_it_is_counted_is_noticed() {
    let zones = tables();
    let one = Shared::default();
    one.open(&zones, 1, 0);
    assert!(meet(&one.audited, 0, PASS));
    one.close(&zones, PASS);
    assert!(!has_met(&one.audited, PASS));
    assert!(!meet(&one.audited, one.audited.load(SeqCst), PASS));
}

#[test]
fn a_slot_whose_entry_is_gone_is_noticed_and_renewed() {
    let zones = tables();
    let seen = Observed::default();
    let mut token = token_of(1);
    admit(
        &zones,
        &OneMore,
        &seen,
        &two_limits(),
        Mode::Enforce,
        &mut token,
    );
    let [gone, kept] = [token.charges[0], token.charges[1]];
    (&zones.0[0]).remove(&gone.key.key(&token.connection));
    assert!(!zones.count_again(&token.connection, gone, PASS));
    assert!(zones.count_again(&token.connection, kept, PASS));
    seen.drain();
    renew(&zones, &seen, &mut token);
    assert_eq!(seen.drain(), [("lost", 0)]);
    for position in 0..2 {
        cover_one(&zones, &seen, &two_limits(), position, &mut token);
    }
    assert_eq!(seen.drain(), [("within", 0)]);
    assert_eq!(token.charges[1], kept);
    renew(&zones, &seen, &mut token);
    assert_eq!(seen.drain(), []);
    discharge(&zones, &seen, &mut token);
    assert_eq!(zones.0[0].connections(), 0);
}

#[test]
fn a_correction_is_for_one_life_of_the_key_and_never_goes_below_zero() {
    let table = Table::new(8, 8);
    let generation = take_one(&table, 1, 5).expect("a slot");
    assert_eq!(correct(&table, &key(1), generation ^ 1, 1), 0);
    assert_eq!(correct(&table, &key(2), generation, 1), 0);
    assert_eq!(correct(&table, &key(1), generation, -4), -4);
    assert_eq!(table.connections(), 5);
    assert_eq!(correct(&table, &key(1), generation, 3), 3);
    assert_eq!(correct(&table, &key(1), generation, 100), 2);
    assert_eq!(table.connections(), 0);
    let word = &AtomicU64::new(3);
    assert_eq!(correct_count(word, 5), 3);
    assert_eq!(correct_count(word, -2), -2);
    assert_eq!(word.load(SeqCst), 2);
}

/// A walk through connections that come and go. `false`: it has collided, so the counts prove nothing;
/// else they agree.
fn walk_through_a_crowd(pass: u32) -> bool {
    const CROWD: usize = 64;
    let zones = tables();
    let crowd: Vec<Shared> = (0..CROWD).map(|_| Shared::default()).collect();
    for (n, one) in (0..).zip(&crowd).step_by(2) {
        one.open(&zones, n % 4, 0);
    }
    let done = AtomicBool::new(false);
    let mut clean = true;
    thread::scope(|scope| {
        for part in crowd.chunks(CROWD / 4) {
            let (zones, done) = (&zones, &done);
            scope.spawn(move || {
                let mut is_open: Vec<bool> = (0..part.len()).map(|n| n % 2 == 0).collect();
                let mut came = 0;
                while !done.load(SeqCst) {
                    for (n, one) in part.iter().enumerate() {
                        if is_open[n] {
                            one.close(zones, pass);
                        } else {
                            one.open(zones, came % 4, pass);
                            came += 1;
                        }
                        is_open[n] = !is_open[n];
                    }
                }
            });
        }
        for _ in 0..10 {
            for one in &crowd {
                clean &= one.visit(&zones, pass);
            }
        }
        done.store(true, SeqCst);
    });
    if clean {
        must_agree(&zones, pass);
    }
    clean
}

#[test]
fn counts_agree_after_a_walk_through_a_crowd() {
    const CLEAN: usize = 20;
    // On two CPUs half of the passes are clean, fewer on more, and nearly all if others keep them busy.
    const MOST: u32 = 2_000;
    let clean = (1..=MOST).filter(|pass| walk_through_a_crowd(*pass));
    assert_eq!(clean.take(CLEAN).count(), CLEAN, "of {MOST} passes");
}
