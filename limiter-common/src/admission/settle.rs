//! One connection that is open already, and a policy that may ask for other slots than it holds.
//!
//! A policy takes the place of another in two steps. First every open connection is *covered*: it
//! takes what the new policy asks for and keeps what the old one asked for, which is still in force.
//! Then, when the new one is in force, it is *trimmed*: what only the old one asked for is given
//! back. So there is no moment at which a policy is in force and does not count what is open. In
//! between a key may count connections that the other policy would not count there: it is too strict
//! for a moment, never too lax.

use super::{Mode, Observer, Slot, Zones, connection::give_up};
use crate::{
    key::KeyFields,
    policy::{MAX_LIMITS, ServerPolicy},
    token::{Charge, MAX_CHARGES, Token},
};

/// Covers a connection for the limit at `position` of the server: takes a slot, whatever the limit
/// says, unless the token holds one already.
#[inline(always)]
pub fn cover_one(
    zones: &impl Zones,
    observer: &impl Observer,
    server: &ServerPolicy,
    position: usize,
    token: &mut Token,
) {
    if position >= server.limit_count as usize {
        return;
    }
    let limit = &server.limits[position & (MAX_LIMITS - 1)];
    if limit.fields.contains(KeyFields::EMPTY) {
        return;
    }
    let key = limit.key_ref(&token.connection, server.index);
    let mut free = MAX_CHARGES;
    for (index, charge) in token.charges.iter().enumerate() {
        if charge.generation == 0 {
            free = index;
        } else if charge.key == key {
            return;
        }
    }
    if free == MAX_CHARGES {
        // Not while the slots of a third policy are given back before the next one comes.
        observer.contended(limit);
        return;
    }
    let number = limit.number.into();
    match zones.take(&token.connection, key, number, Mode::Adopt) {
        Slot::Taken { generation, .. } => {
            token.charges[free & (MAX_CHARGES - 1)] = Charge { generation, key };
            observer.taken(limit, true);
        }
        // In this mode no limit says no; and of a zone without room all that can be known is that.
        Slot::Full { .. } | Slot::Exhausted | Slot::Contended => observer.contended(limit),
    }
}

/// Forgets the slots whose entries are gone, so that [`cover_one`] takes new ones.
#[inline(always)]
pub fn renew(zones: &impl Zones, observer: &impl Observer, token: &mut Token) {
    for index in 0..MAX_CHARGES {
        let charge = token.charges[index];
        if charge.generation != 0
            && !zones.is_held(&token.connection, charge)
            && observer.lost(&charge)
        {
            token.charges[index].generation = 0;
        }
    }
}

/// Trims a connection of one charge: gives the slot back, unless the server asks for it.
#[inline(always)]
pub fn trim_one(
    zones: &impl Zones,
    observer: &impl Observer,
    server: &ServerPolicy,
    index: usize,
    token: &mut Token,
) {
    let index = index & (MAX_CHARGES - 1);
    let charge = token.charges[index];
    if charge.generation == 0 {
        return;
    }
    for position in 0..MAX_LIMITS {
        if position >= server.limit_count as usize {
            break;
        }
        let limit = &server.limits[position];
        if limit.key_ref(&token.connection, server.index) == charge.key
            && !limit.fields.contains(KeyFields::EMPTY)
        {
            return;
        }
    }
    let released = give_up(zones, token, index);
    observer.given_back(&charge, !released);
}

const _: () = assert!(MAX_CHARGES.is_power_of_two());
