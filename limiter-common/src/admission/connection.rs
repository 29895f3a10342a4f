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
    /// The entry of a slot is gone, and the connection is open: it holds that slot no more.
    fn lost(&self, charge: &Charge);
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
    /// In one word, for a function of the BPF machine to return.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        let exhausted = matches!(self.why, Refusal::Exhausted) as u64;
        let refused = self.is_refused as u64;
        (self.connections as u64) << 32
            | (self.number as u64) << 16
            | (self.limit as u64) << 8
            | refused << 1
            | exhausted
    }

    /// From [`Self::to_word`].
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            is_refused: word & 2 != 0,
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

/// Charges the token's connection, which holds no slot yet, for every limit of its server. In
/// [`Mode::Enforce`] it is charged for all of them or, if one says no, for none: what was taken
/// before is given back.
#[inline(always)]
pub fn admit(
    zones: &impl Zones,
    numbers: &impl Numbers,
    observer: &impl Observer,
    server: &ServerPolicy,
    mode: Mode,
    token: &mut Token,
) -> Admission {
    let mut admission = Admission {
        is_refused: false,
        limit: 0,
        why: Refusal::Full,
        connections: 0,
        number: 0,
    };
    for index in 0..MAX_LIMITS {
        if index >= server.limit_count as usize {
            break;
        }
        let limit = &server.limits[index];
        if limit.fields.contains(KeyFields::EMPTY) {
            observer.skipped(limit);
            continue;
        }
        let key = limit.key_ref(&token.connection, server.index);
        let number = numbers.number(server, index, &token.connection.remote);
        let zone_key = key.key(&token.connection);
        let slot = zones.take(limit.zone, &zone_key, number.into(), mode);
        let (says_no, why, connections) = match slot {
            Slot::Taken { generation, before } => {
                token.charges[index] = Charge { generation, key };
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
                continue;
            }
        };
        if index == 0 || says_no && !admission.is_refused {
            admission = Admission {
                is_refused: says_no,
                limit: index,
                why,
                connections,
                number,
            };
        }
        if says_no && mode == Mode::Enforce {
            observer.refused(limit, why);
            roll_back(zones, token);
            return admission;
        }
    }
    if mode == Mode::Enforce {
        // Only now it is certain that none is given back.
        for index in 0..MAX_LIMITS {
            if index >= server.limit_count as usize {
                break;
            }
            if token.charges[index].generation != 0 {
                observer.taken(&server.limits[index], true);
            }
        }
    }
    admission
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

/// The token held nothing before.
#[inline(always)]
fn roll_back(zones: &impl Zones, token: &mut Token) {
    for index in 0..MAX_LIMITS {
        if token.charges[index].generation != 0 {
            give_up(zones, token, index);
        }
    }
}

/// Gives back the slot at this index of the token. `false` if its entry is gone.
#[inline(always)]
pub(super) fn give_up(zones: &impl Zones, token: &mut Token, index: usize) -> bool {
    let Charge { generation, key } = token.charges[index];
    // Forgotten first: it must never be given back twice.
    token.charges[index].generation = 0;
    zones.release(key.zone(), &key.key(&token.connection), generation)
}
