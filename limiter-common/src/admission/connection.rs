//! One connection: a slot of every limit of its server, or none.

use super::{Mode, Numbers, Slot, Zones};
use crate::{
    key::KeyFields,
    policy::{Limit, MAX_LIMITS, ServerPolicy},
    token::{Charge, MAX_CHARGES, Token},
};

/// What is told of each limit while a connection is admitted or discharged.
pub trait Observer {
    /// A slot was taken. `within`: without going over the limit.
    fn taken(&self, limit: &Limit, within: bool);
    /// A limit says no and no slot was taken.
    fn refused(&self, limit: &Limit, why: Refusal);
    /// No slot was taken because other CPUs won every time.
    fn contended(&self, limit: &Limit);
    /// The key is empty: nothing to count.
    fn skipped(&self, limit: &Limit);
    /// A slot was given back. `evicted`: its entry was gone.
    fn given_back(&self, charge: &Charge, evicted: bool);
    /// The entry of a slot is gone, and the connection is open: whether it is to hold that slot no more,
    /// so that it takes another.
    fn lost(&self, charge: &Charge) -> bool;
}

/// Why a limit says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The key is at its limit.
    Full,
    /// The zone has no room for another key.
    Exhausted,
}

/// What became of a connection. (Not an enum: LLVM would carry undefined fields about, which the
/// verifier does not allow.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether a limit says no. In [`Mode::Count`] the connection is counted all the same.
    pub is_refused: bool,
    /// Position of the limit that decided: the first that says no, else the first of all.
    pub limit: usize,
    /// Why it says no, if it does.
    pub why: Refusal,
    /// Connections of its key, with this one if it was counted.
    pub connections: u32,
    /// How many it allows.
    pub number: u16,
}

impl Admission {
    const REFUSED: u64 = 1 << 1;

    /// In one word, for a function of the BPF machine to return.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        let exhausted = matches!(self.why, Refusal::Exhausted) as u64;
        let refused = self.is_refused as u64;
        (self.connections as u64) << 32
            | (self.number as u64) << 16
            | (self.limit as u64) << 8
            | (refused * Self::REFUSED)
            | exhausted
    }

    /// From [`Self::to_word`].
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            is_refused: word & Self::REFUSED != 0,
            limit: (word >> 8) as usize & (MAX_LIMITS - 1),
            why: if word & 1 != 0 {
                Refusal::Exhausted
            } else {
                Refusal::Full
            },
            connections: (word >> 32) as u32,
            number: (word >> 16) as u16,
        }
    }
}

const _: () = assert!(MAX_LIMITS.is_power_of_two());

/// What one limit says of a connection: an [`Admission`] in one word, or that it does not say
/// anything. In a word, because the verifier follows what it knows of fields through every turn of a
/// loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said(u64);

impl Said {
    /// Nothing. No admission has this word: it is refused, or its connection counts.
    const NOTHING: Self = Self(0);

    /// For a function of the BPF machine to return.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// From [`Self::to_word`].
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    #[inline(always)]
    const fn says_no(self) -> bool {
        self.0 & Admission::REFUSED != 0
    }
}

/// What [`admit`] does, so that each can be a function of the BPF machine.
pub trait Steps {
    /// Charges the token's connection for the limit at this position of the server.
    fn charge_one(
        &self,
        server: &ServerPolicy,
        position: usize,
        mode: Mode,
        token: &mut Token,
    ) -> Said;
    /// In [`Mode::Enforce`], after the last limit: `keeps` what was taken, or gives it back.
    fn conclude(&self, server: &ServerPolicy, keeps: bool, token: &mut Token);
}

/// Charges the token's connection, which holds no slot yet, for every limit of its server. In
/// [`Mode::Enforce`] it is charged for all of them or, if one says no, for none: what was taken
/// before is given back.
#[inline(always)]
pub fn admit(
    steps: &impl Steps,
    server: &ServerPolicy,
    mode: Mode,
    token: &mut Token,
) -> Admission {
    let mut decided = Said::NOTHING;
    for position in 0..MAX_LIMITS {
        if position >= server.limit_count as usize {
            break;
        }
        let said = steps.charge_one(server, position, mode, token);
        if position == 0 || said.says_no() && !decided.says_no() {
            decided = said;
        }
        if said.says_no() && mode == Mode::Enforce {
            break;
        }
    }
    if mode == Mode::Enforce {
        steps.conclude(server, !decided.says_no(), token);
    }
    Admission::from_word(decided.to_word())
}

/// [`Steps::charge_one`]
#[inline(always)]
pub fn charge_one(
    zones: &impl Zones,
    numbers: &impl Numbers,
    observer: &impl Observer,
    server: &ServerPolicy,
    position: usize,
    mode: Mode,
    token: &mut Token,
) -> Said {
    let position = position & (MAX_LIMITS - 1);
    let limit = &server.limits[position];
    if limit.fields.contains(KeyFields::EMPTY) {
        observer.skipped(limit);
        return Said::NOTHING;
    }
    let key = limit.key_ref(&token.connection, server.index);
    let number = numbers.number(server, position, &token.connection.remote);
    let (is_refused, why, connections) =
        match zones.take(&token.connection, key, number.into(), mode) {
            Slot::Taken { generation, before } => {
                token.charges[position] = Charge { generation, key };
                let within = before < u32::from(number);
                if mode != Mode::Enforce {
                    observer.taken(limit, within);
                }
                (!within, Refusal::Full, before + 1)
            }
            Slot::Full { connections } => (true, Refusal::Full, connections),
            Slot::Exhausted => {
                if mode != Mode::Enforce {
                    observer.refused(limit, Refusal::Exhausted);
                }
                (true, Refusal::Exhausted, 0)
            }
            Slot::Contended => {
                observer.contended(limit);
                return Said::NOTHING;
            }
        };
    if is_refused && mode == Mode::Enforce {
        observer.refused(limit, why);
    }
    let admission = Admission {
        is_refused,
        limit: position,
        why,
        connections,
        number,
    };
    Said(admission.to_word())
}

/// [`Steps::conclude`]
#[inline(always)]
pub fn conclude(
    zones: &impl Zones,
    observer: &impl Observer,
    server: &ServerPolicy,
    keeps: bool,
    token: &mut Token,
) {
    for index in 0..MAX_LIMITS {
        if token.charges[index].generation == 0 {
            continue;
        }
        if keeps {
            // Only now it is certain that none is given back.
            observer.taken(&server.limits[index], true);
        } else {
            give_up(zones, token, index);
        }
    }
}

/// Gives back every slot that the token holds.
#[inline(always)]
pub fn discharge(zones: &impl Zones, observer: &impl Observer, token: &mut Token) {
    for index in 0..MAX_CHARGES {
        let charge = token.charges[index];
        if charge.generation != 0 {
            let released = give_up(zones, token, index);
            observer.given_back(&charge, !released);
        }
    }
}

/// Gives back the slot at this index of the token. `false` if its entry is gone.
#[inline(always)]
pub(super) fn give_up(zones: &impl Zones, token: &mut Token, index: usize) -> bool {
    let Charge { generation, key } = token.charges[index];
    // Forgotten first: it must never be given back twice.
    token.charges[index].generation = 0;
    zones.release(&token.connection, key, generation)
}
