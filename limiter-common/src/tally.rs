//! Refusals of a key that its entry does not know of yet, because nobody has looked the key up for them
//! ([`crate::standing`]).
//!
//! Each CPU has some tallies, and a key has one place among those of every CPU ([`Tally::slot`]). Only the
//! program on the interface counts in a tally, on its CPU, where nothing interrupts it that does. Two may
//! *bring* what is there to the key's entry: that program, when it leases the tally to this key again or to another
//! one, and whoever has claimed an event about the key, on whatever CPU and from whatever hook, so that the event
//! tells of every refusal before it. Who only reads ([`Tally::untold_of`]) adds it up.
//!
//! Nothing is lost and nothing brought twice, because the count shares a word with a version, and every
//! step changes the whole word at once ([`State`]):
//!
//! - Whoever brings something marks the tally as taken in the exchange that takes the count. Nobody else
//!   takes anything until the entry has it; what is counted meanwhile stays.
//! - The version is another one afterwards, and after the tally has become another key's. So whoever reads
//!   version, key, and then exchanges, has taken what is that key's.

use crate::{admission::Word, hash::mix, key::ZoneKey};

/// Tallies of a CPU. A power of two.
pub const SLOTS: u32 = 256;

/// One tally: the value of [`crate::names::MAP_TALLIES`].
///
/// The word comes first, because the kernel copies a value from its beginning to its end: whoever finds
/// the same version in a second copy had the owner that belongs to it in the first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// A [`State`].
    pub word: u64,
    /// Whose it is.
    pub owner: Owner,
    /// How often it became another key's. Only the program on the interface looks at it.
    pub life: u32,
    /// The tick in which it was leased last, its lower bits; likewise.
    pub tick: u32,
}

const _: () = assert!(size_of::<Tally>() == 64);

/// Whose refusals they are.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The key.
    pub key: ZoneKey,
    /// Life of the key's entry that they belong to.
    pub generation: u32,
    /// The key's zone.
    pub zone: u16,
    /// Explicit padding, 0.
    pub padding: u16,
}

impl Owner {
    /// Whether these are refusals of this key, in whatever life of its entry.
    #[inline(always)]
    pub fn is_key(&self, zone: u16, key: &ZoneKey) -> bool {
        self.zone == zone && self.key == *key
    }
}

/// A tally of this CPU that is a key's, as long as its life has this number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Place of the tally.
    pub slot: u32,
    /// [`Tally::life`]
    pub life: u32,
}

impl Lease {
    /// As a number that is never 0.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        (self.life as u64) << 32 | (self.slot + 1) as u64
    }

    /// From [`Self::to_word`]; none from 0.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Option<Self> {
        match word as u32 {
            0 => None,
            slot => Some(Self {
                slot: slot - 1,
                life: (word >> 32) as u32,
            }),
        }
    }
}

/// What the word of a tally holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Another one after each time that something was brought, or the owner has changed.
    pub version: u32,
    /// Whether somebody is about to bring something, or to change the owner.
    pub is_taken: bool,
    /// Refusals, less than 2³¹. The program on the interface brings them once a tick.
    pub count: u32,
}

impl State {
    const TAKEN: u64 = 1 << 31;
    const VERSION: u64 = 1 << 32;

    /// From the word in memory.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            version: (word >> 32) as u32,
            is_taken: word & Self::TAKEN != 0,
            count: (word & (Self::TAKEN - 1)) as u32,
        }
    }

    /// To the word in memory.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        (self.version as u64) << 32 | (self.is_taken as u64) << 31 | self.count as u64
    }

    #[inline(always)]
    const fn taken(self) -> Self {
        Self {
            is_taken: true,
            count: 0,
            ..self
        }
    }
}

impl Tally {
    /// Place of a key's tallies, below [`SLOTS`].
    #[inline(always)]
    pub const fn slot(zone: u16, key: &ZoneKey, seed: u64) -> u32 {
        (mix(key.hash(seed), zone as u64) >> 56) as u32 & (SLOTS - 1)
    }

    /// Refusals in it that are of this key.
    pub fn untold_of(&self, zone: u16, key: &ZoneKey) -> u32 {
        if self.owner.is_key(zone, key) {
            State::from_word(self.word).count
        } else {
            0
        }
    }
}

/// A tally where it is.
pub trait Shared: Copy {
    /// Handle of a word.
    type Word: Word;

    /// [`Tally::word`]
    fn word(self) -> Self::Word;
    /// Reads [`Tally::owner`], which may be half another one if it is just being written.
    fn owner(self) -> Owner;
    /// Writes [`Tally::owner`].
    fn set_owner(self, owner: &Owner);
}

/// Counts a refusal of the owner's, on the CPU that the tally is of.
#[inline(always)]
pub fn count(tally: impl Shared) {
    tally.word().fetch_add(1);
}

/// Whether there is nothing in it.
#[inline(always)]
pub fn is_empty(tally: impl Shared) -> bool {
    State::from_word(tally.word().load()).count == 0
}

/// How often it is tried again to take what a tally has. Each time that it fails, another refusal has
/// been counted, or somebody else is at it.
const TRIES: usize = 4;

/// Takes what a tally has if `is_mine` says so of its owner, and has `to_entry` add it to the owner's entry:
/// until it has, the owner stays. How much that did.
///
/// What is counted meanwhile stays, and so does everything if refusals come so fast that each try fails:
/// it is there for the next one.
#[inline(always)]
pub fn bring(
    tally: impl Shared,
    is_mine: impl Fn(&Owner) -> bool,
    to_entry: impl Fn(u64) -> u64,
) -> u64 {
    if is_empty(tally) {
        return 0;
    }
    let word = tally.word();
    for _ in 0..TRIES {
        // By an addition, for that comes before the reading of the owner on every processor.
        let found = State::from_word(word.fetch_add(0));
        if found.is_taken || found.count == 0 {
            return 0;
        }
        if !is_mine(&tally.owner()) {
            return 0;
        }
        if word.compare_exchange(found.word(), found.taken().word()) == found.word() {
            let brought = to_entry(found.count.into());
            done(tally);
            return brought;
        }
    }
    0
}

/// Makes the tally this owner's, on the CPU that it is of. `false`: there is something of another one
/// in it, or on its way.
#[inline(always)]
pub fn give_to(tally: impl Shared, owner: &Owner) -> bool {
    let word = tally.word();
    let found = State::from_word(word.load());
    if found.is_taken || found.count != 0 {
        return false;
    }
    if word.compare_exchange(found.word(), found.taken().word()) != found.word() {
        return false;
    }
    tally.set_owner(owner);
    done(tally);
    true
}

/// Not taken any more, and another version.
#[inline(always)]
fn done(tally: impl Shared) {
    tally.word().fetch_add(State::VERSION - State::TAKEN);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        addr::Addr,
        key::{Connection, KeyFields, KeyShape},
    };

    fn key(client: u32) -> ZoneKey {
        let connection = Connection {
            remote: Addr::from_v4_word(client),
            ..Connection::default()
        };
        ZoneKey::new(KeyShape::whole(KeyFields::REMOTE_ADDR), &connection, 0)
    }

    #[test]
    fn the_word_gives_all_back() {
        for version in [0, 1, u32::MAX] {
            for is_taken in [false, true] {
                for count in [0, 1, (1 << 31) - 1] {
                    let state = State {
                        version,
                        is_taken,
                        count,
                    };
                    assert_eq!(State::from_word(state.word()), state);
                }
            }
        }
    }

    #[test]
    fn keys_are_spread_over_the_tallies() {
        let mut used = [false; SLOTS as usize];
        for client in 0..4 * SLOTS {
            used[Tally::slot(1, &key(client), 7) as usize] = true;
        }
        let used = used.iter().filter(|used| **used).count();
        // Of as many balls in a quarter of as many bins, 1.8 % stay empty.
        assert!(used > SLOTS as usize * 9 / 10, "{used}");
    }

    #[test]
    fn only_the_owners_refusals_are_untold_of_it() {
        let tally = Tally {
            word: State {
                version: 3,
                is_taken: true,
                count: 5,
            }
            .word(),
            owner: Owner {
                key: key(1),
                zone: 2,
                ..Owner::default()
            },
            ..Tally::default()
        };
        assert_eq!(tally.untold_of(2, &key(1)), 5);
        assert_eq!(tally.untold_of(3, &key(1)), 0);
        assert_eq!(tally.untold_of(2, &key(2)), 0);
    }
}
