//! Refusals of keys that their entries do not know of yet, see [`limiter_common::tally`].

use aya_ebpf::{
    btf_maps::PerCpuArray, helpers::generated::bpf_map_lookup_percpu_elem, macros::btf_map,
};
use limiter_common::{
    admission::{Word as _, Zone as _},
    entry::Occupancy,
    key::ZoneKey,
    refusals,
    tally::{Lease, Owner, SLOTS, Shared, Tally, bring, give_to, is_empty},
};

use super::{
    policy,
    zones::{self, zone_at},
};
use crate::{atomic::AtomicWord, clock::ticks};

#[btf_map]
static TALLIES: PerCpuArray<Tally, { SLOTS as usize }> = PerCpuArray::new();

/// CPUs whose tallies are looked at when there is an event. What those above have is told when they have brought
/// it themselves.
const CPUS: u32 = 1024;

/// A tally of some CPU.
#[derive(Clone, Copy)]
pub struct Handle(*mut Tally);

impl Shared for Handle {
    type Word = AtomicWord;

    #[inline(always)]
    fn word(self) -> AtomicWord {
        // SAFETY: an aligned word of a map value.
        unsafe { AtomicWord::new(&raw mut (*self.0).word) }
    }

    #[inline(always)]
    fn owner(self) -> Owner {
        // SAFETY: a field of the value; every bit pattern is an owner. What is read before an exchange is
        // not read again after it.
        unsafe { (*self.0).owner }
    }

    #[inline(always)]
    fn set_owner(self, owner: &Owner) {
        // SAFETY: as above. Only the program on the interface writes it, on its CPU.
        unsafe { (*self.0).owner = *owner };
    }
}

/// The tally that a key has, as long as it has it.
#[inline(always)]
pub fn leased(lease: Lease) -> Option<Handle> {
    let tally = here(lease.slot)?;
    // SAFETY: a field that only this program writes, on this CPU.
    (unsafe { (*tally.0).life } == lease.life).then_some(tally)
}

/// A tally of this CPU for refusals of the key, in this life of its entry. None if another key has got it
/// in this tick: two that share it do not take it from each other all the time.
#[inline(always)]
pub fn lease(zone: u16, key: &ZoneKey, generation: u32) -> Option<Lease> {
    Lease::from_word(limiter_lease(zone.into(), key, generation))
}

/// Brings what all CPUs have in their tallies of the key to its entry; how much.
#[inline(always)]
pub fn gather(zone: u16, key: &ZoneKey) -> u64 {
    // Unless an interface remembers refusals there is nothing, and it asks for that.
    if zones::freed(zone.into()).is_none_or(|freed| freed == 0) {
        return 0;
    }
    limiter_gather(zone.into(), key)
}

#[inline(always)]
fn here(slot: u32) -> Option<Handle> {
    TALLIES.get_ptr_mut(slot).map(Handle)
}

#[inline(always)]
fn on(cpu: u32, slot: u32) -> Option<Handle> {
    let map = (&raw const TALLIES).cast_mut().cast();
    // SAFETY: a map per CPU whose keys are of this type.
    let value = unsafe { bpf_map_lookup_percpu_elem(map, (&raw const slot).cast(), cpu) };
    (!value.is_null()).then(|| Handle(value.cast()))
}

/// [`lease`], a word of [`Lease`] or 0. A global function, see [`crate::charge`]: it runs once a tick.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_lease(zone: u32, key: *const ZoneKey, generation: u32) -> u64 {
    // SAFETY: the verifier has checked that the pointer is to a key or null.
    let (Some(key), Some(policy)) = (unsafe { key.as_ref() }, policy::in_force()) else {
        return 0;
    };
    let owner = Owner {
        key: *key,
        generation,
        zone: zone as u16,
        padding: 0,
    };
    let slot = Tally::slot(owner.zone, key, policy.seed);
    let Some(tally) = here(slot) else {
        return 0;
    };
    bring(tally, |_| true, |count| add_to_entry(tally, count));
    let now = ticks() as u32;
    // SAFETY: fields that only this program accesses, on this CPU.
    let (life, tick) = unsafe { (&mut (*tally.0).life, &mut (*tally.0).tick) };
    if tally.owner() != owner {
        if *tick == now || !give_to(tally, &owner) {
            return 0;
        }
        *life = life.wrapping_add(1);
    }
    *tick = now;
    let lease = Lease { slot, life: *life };
    lease.to_word()
}

/// [`gather`]. A global function: it loops.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_gather(zone: u32, key: *const ZoneKey) -> u64 {
    // SAFETY: as above.
    let (Some(key), Some(policy)) = (unsafe { key.as_ref() }, policy::in_force()) else {
        return 0;
    };
    let slot = Tally::slot(zone as u16, key, policy.seed);
    let mut gathered = 0;
    for cpu in 0..CPUS {
        let Some(tally) = on(cpu, slot) else {
            break;
        };
        if !is_empty(tally) {
            gathered += limiter_gather_from(cpu, slot, zone, key);
        }
    }
    gathered
}

/// The same from the tally of one CPU.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_gather_from(cpu: u32, slot: u32, zone: u32, key: *const ZoneKey) -> u64 {
    // SAFETY: as above.
    match (on(cpu, slot), unsafe { key.as_ref() }) {
        (Some(tally), Some(key)) => {
            let is_mine = |owner: &Owner| owner.is_key(zone as u16, key);
            bring(tally, is_mine, |count| add_to_entry(tally, count))
        }
        _ => 0,
    }
}

/// Adds to the owner's entry what was refused in this life of it. If that is over, so is what it knew.
#[inline(always)]
fn add_to_entry(tally: Handle, count: u64) -> u64 {
    // SAFETY: a field of the value, which nobody writes while its refusals are taken.
    let owner = unsafe { &(*tally.0).owner };
    let Some(zone) = zone_at(owner.zone.into()) else {
        return 0;
    };
    let Some(entry) = zone.find(&owner.key) else {
        return 0;
    };
    let occupancy = Occupancy::from_word(zone.occupancy(entry).load());
    if occupancy.generation != owner.generation {
        return 0;
    }
    refusals::add(entry.refusals(), count);
    count
}
