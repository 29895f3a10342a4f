//! `iter/bpf_sk_storage_map`: counts again who holds slots, see [`limiter_common::admission`], and what
//! the other programs do while that goes on.
//!
//! The kernel walks the tokens of all sockets, in whatever network namespace (net/core/
//! bpf_sk_storage.c, bpf_sk_storage_map_seq_find_next). It locks nothing, so nothing waits for it.
//! Each entry that is looked up counts as used: those of idle connections are not the first that an LRU
//! map evicts.

use core::ffi::c_void;

use limiter_common::{
    admission::{self, Word as _, Zones as _},
    key::Connection,
    token::{Charge, MAX_CHARGES, Token},
};

use crate::{
    atomic::AtomicWord,
    maps::{
        audit,
        policy::{self, Policy},
        zones::Zones,
    },
};

/// Context of `iter/bpf_sk_storage_map` (net/core/bpf_sk_storage.c, bpf_iter__bpf_sk_storage_map).
#[repr(C)]
pub struct IterStorage {
    meta: *mut c_void,
    map: *mut c_void,
    socket: *mut c_void,
    value: *mut Token,
}

/// Counts the slots of one connection.
#[inline(always)]
pub fn token(ctx: *mut IterStorage) {
    // SAFETY: the kernel gives a valid context.
    let token = unsafe { (&raw const (*ctx).value).read_volatile() };
    if token.is_null() {
        return;
    }
    let Some(pass) = policy::in_force().map(|policy| policy.pass) else {
        return;
    };
    if pass == 0 {
        // Somebody has put an end to it.
        return;
    }
    // SAFETY: not null; an aligned word.
    let audited = unsafe { AtomicWord::new(&raw mut (*token).audited) };
    let found = audited.load();
    // SAFETY: a whole token. What is read here may change at the same time; `meet` tells whether it has.
    let (is_counted, charges) = unsafe {
        (
            (&raw const (*token).is_counted).read_volatile(),
            (&raw const (*token).charges).read_volatile(),
        )
    };
    if is_counted != 0 && admission::meet(audited, found, pass) {
        // SAFETY: written before the token was counted, and never changed.
        limiter_recount(unsafe { &raw const (*token).connection }, &charges, pass);
        if !admission::has_met(audited, pass) {
            audit::collided();
        }
    }
}

/// A connection begins, see [`admission::start`].
#[inline(always)]
pub fn starts(policy: Policy, token: &mut Token) {
    if policy.pass != 0 {
        admission::start(audited(token), policy.pass);
    }
}

/// It has its slots.
#[inline(always)]
pub fn counts(policy: Policy, token: &Token) {
    if policy.pass != 0 {
        limiter_recount(&token.connection, &token.charges, policy.pass);
    }
}

/// It is about to give them back.
#[inline(always)]
pub fn parts(policy: Policy, token: &mut Token) {
    if policy.pass != 0 {
        limiter_part(token, policy.pass);
    }
}

#[inline(always)]
fn audited(token: &mut Token) -> AtomicWord<u32> {
    // SAFETY: an aligned word of a map value.
    unsafe { AtomicWord::new(&raw mut token.audited) }
}

/// A global function, see [`crate::charge`], as the one below: it loops.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_recount(
    connection: *const Connection,
    charges: *const [Charge; MAX_CHARGES],
    pass: u32,
) -> u32 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(connection), Some(charges)) = (unsafe { (connection.as_ref(), charges.as_ref()) })
    else {
        return 0;
    };
    for charge in charges {
        if charge.generation != 0
            && !Zones.count_again(connection, *charge, pass)
            && !audit::is_full(charge.key.zone())
        {
            audit::lost();
        }
    }
    0
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_part(token: *mut Token, pass: u32) -> u32 {
    // SAFETY: as above.
    let Some(token) = (unsafe { token.as_mut() }) else {
        return 0;
    };
    admission::part(&Zones, audited(token), token, pass);
    0
}
