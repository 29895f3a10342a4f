//! Charge, roll back, release: the counting itself.
//!
//! Generic over where words and entries live, so that the same code runs in the kernel and in the
//! tests. What it promises, whatever runs at the same time on other CPUs:
//!
//! - **Never over a limit.** A slot is taken by one compare-and-exchange of the entry's occupancy,
//!   from a value below the limit. There is no moment at which a rolled-back attempt of the same
//!   zone can be seen.
//! - **Never somebody else's slot.** The kernel reuses the memory of a removed element at once, so a
//!   pointer may come to mean another key between look-up and exchange. Every life of an entry has
//!   its own generation, in the same word as the count: an exchange against an entry that was
//!   reused meanwhile fails. If the entry was reused before its occupancy was read, the second
//!   look-up shows it and the slot is given back.
//! - **Never below zero.** A slot is given back only to the generation it was taken from.
//! - **Room.** Before a key's first connection is counted, a place among the zone's live keys is
//!   taken; after its last one, given back. Idle keys stay in the map only while there are no more
//!   than [`Zone::idle`] of them: the rest are removed at once. The map has more room than both
//!   together, so that the kernel never has to evict a live key. A zone that is to evict
//!   ([`Zone::evicts`]) does without: the kernel removes whatever has not been used for longest, and
//!   the connections of a key that is gone hold no slot any more.
use crate::{
    addr::Addr,
    entry::Occupancy,
    key::{Connection, ZoneKey},
    policy::ServerPolicy,
    token::{Charge, KeyRef},
};

mod connection;
mod recount;
mod settle;
mod slot;
mod waiting;

pub use self::{
    connection::{
        Admission, Observer, Refusal, Said, Steps, admit, charge_one, conclude, discharge,
    },
    recount::{
        Difference, correct, correct_count, count_again, has_met, is_held, leave_count, meet, part,
        start,
    },
    settle::{cover_one, renew, trim_one},
    slot::{Peek, Slot, peek, release, take, watch},
    waiting::{begin_wait, end_wait, may_wait},
};

/// A word of 64 or 32 bits shared between CPUs. All operations are sequentially consistent.
pub trait Word<N = u64>: Copy {
    /// Reads.
    fn load(self) -> N;
    /// Writes `new` if the word is `current`; returns what it was.
    fn compare_exchange(self, current: N, new: N) -> N;
    /// Adds, wrapping; returns what it was.
    fn fetch_add(self, n: N) -> N;
}

/// A zone: its map of entries and its shared counts.
pub trait Zone: Copy {
    /// Handle of a word.
    type Word: Word;
    /// Handle of a word of 32 bits.
    type HalfWord: Word<u32>;
    /// Handle of an entry: two are equal if they are the same memory.
    type Entry: Copy + PartialEq;

    /// Looks the key up.
    fn find(self, key: &ZoneKey) -> Option<Self::Entry>;
    /// Adds an entry with this occupancy, unless the key has one. No connection waits in it. `false`
    /// if it had one, or there is no memory.
    fn insert(self, key: &ZoneKey, occupancy: Occupancy) -> bool;
    /// Removes the key's entry.
    fn remove(self, key: &ZoneKey);
    /// [`crate::entry::ZoneEntry::occupancy`].
    fn occupancy(self, entry: Self::Entry) -> Self::Word;
    /// [`crate::entry::ZoneEntry::waiting`].
    fn waiting(self, entry: Self::Entry) -> Self::HalfWord;
    /// [`crate::entry::ZoneEntry::recount`].
    fn recount(self, entry: Self::Entry) -> Self::Word;
    /// [`crate::entry::ZoneState::live_recount`].
    fn live_recount(self) -> Self::Word;
    /// [`crate::entry::ZoneState::slot_recount`].
    fn slot_recount(self) -> Self::Word;
    /// [`crate::entry::ZoneState::freed`].
    fn freed(self) -> Self::Word;
    /// [`crate::entry::ZoneState::live`].
    fn live(self) -> Self::Word;
    /// [`crate::entry::ZoneState::entries`].
    fn entries(self) -> Self::Word;
    /// [`crate::entry::ZoneState::generation`].
    fn generation(self) -> Self::Word;
    /// [`crate::entry::ZoneState::capacity`].
    fn capacity(self) -> u64;
    /// [`crate::entry::ZoneState::room`].
    fn room(self) -> u64;
    /// [`crate::entry::ZoneState::idle`].
    fn idle(self) -> u64;
    /// [`crate::entry::ZoneState::evicts`].
    fn evicts(self) -> bool;
}

/// All zones. What a connection counts under is named, not given: whoever looks a key up in a map of
/// the kernel needs it in memory of its own.
pub trait Zones {
    /// [`take`] of the connection's key, in its zone. A zone that does not exist is
    /// [`Slot::Contended`].
    fn take(&self, connection: &Connection, key: KeyRef, number: u32, mode: Mode) -> Slot;
    /// [`release`] of the connection's key, in its zone. A zone that does not exist has nothing to
    /// release.
    fn release(&self, connection: &Connection, key: KeyRef, generation: u32) -> bool;
    /// [`count_again`] in the zone of the key of this charge. In a zone that does not exist nothing is
    /// held.
    fn count_again(&self, connection: &Connection, charge: Charge, pass: u32) -> bool;
    /// [`leave_count`] likewise.
    fn leave_count(&self, connection: &Connection, charge: Charge, pass: u32);
    /// [`is_held`] likewise.
    fn is_held(&self, connection: &Connection, charge: Charge) -> bool;
}

/// Numbers that some clients have of their own.
pub trait Numbers {
    /// Connections that the limit at `position` of the server allows this client.
    fn number(&self, server: &ServerPolicy, position: usize, client: &Addr) -> u16;
}

/// Whether a limit is to be enforced or only watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Mode {
    /// Do not go over the limit.
    Enforce = 0,
    /// Take the slot in any case: dry run.
    Count = 1,
    /// Take the slot although the zone has no room for another key: the connection is open already.
    Adopt = 2,
}

impl Mode {
    /// From its number; what is none is [`Self::Enforce`].
    #[inline(always)]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Count,
            2 => Self::Adopt,
            _ => Self::Enforce,
        }
    }
}

#[cfg(test)]
mod tests;
