//! Refusals that stand for a moment, see [`limiter_common::standing`].

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use limiter_common::{
    admission::{Word as _, Zone as _},
    attempt::Client,
    entry::Occupancy,
    key::Connection,
    refusals,
    standing::{Moment, Refused, SLOTS, Standing},
};

use super::{
    policy::Policy,
    zones::{self, zone_at},
};
use crate::clock::ticks;

#[btf_map]
static STANDING: PerCpuArray<Standing, { SLOTS as usize }> = PerCpuArray::new();

/// A slot of this CPU.
pub struct Slot {
    standing: &'static mut Standing,
    moment: Moment,
}

/// The slot of this client.
#[inline(always)]
pub fn slot(client: Client, policy: Policy) -> Option<Slot> {
    let standing = STANDING.get_ptr_mut(Standing::slot(client))?;
    // SAFETY: a value of the map, on this CPU, where nobody else writes it while the program runs.
    let standing = unsafe { &mut *standing };
    let moment = Moment {
        tick: ticks(),
        halves: policy.halves(),
        padding: 0,
    };
    Some(Slot { standing, moment })
}

impl Slot {
    /// Whether a refusal of this client stands.
    #[inline(always)]
    pub fn stands(&self, connection: &Connection) -> bool {
        self.standing.is_of(connection, self.moment)
            && zones::freed(self.standing.zone.into()) == Some(self.standing.freed)
    }

    /// The zone that says no.
    #[inline(always)]
    pub fn zone(&self) -> u16 {
        self.standing.zone
    }

    /// Connections that the key has.
    #[inline(always)]
    pub fn connections(&self) -> u32 {
        self.standing.connections
    }

    /// Counts a refusal of the key.
    #[inline(always)]
    pub fn count(&mut self) {
        self.set_refusals(self.standing.refusals + 1);
    }

    /// Whether the client is refused for the second time in this tick, if it is.
    #[inline(always)]
    pub fn comes_again(&mut self, client: Client) -> bool {
        self.standing.comes_again(client, self.moment)
    }

    /// Brings what was gathered to the entry that it belongs to. If that life of it is over, so is what
    /// it knew.
    #[inline(always)]
    pub fn settle(&mut self) {
        let untold = self.standing.refusals;
        if untold == 0 {
            return;
        }
        self.begins_or_ends();
        self.set_refusals(0);
        if let Some(zone) = zone_at(self.standing.zone.into())
            && let Some(entry) = zone.find(&self.standing.key)
            && Occupancy::from_word(zone.occupancy(entry).load()).generation
                == self.standing.generation
        {
            refusals::add(entry.refusals(), untold);
        }
        self.begins_or_ends();
    }

    /// The compiler leaves this where it is, as it does what follows.
    #[inline(always)]
    fn set_refusals(&mut self, refusals: u64) {
        // SAFETY: a field of the slot.
        unsafe { (&raw mut self.standing.refusals).write_volatile(refusals) };
    }

    /// Of settling.
    #[inline(always)]
    fn begins_or_ends(&mut self) {
        let settled = &raw mut self.standing.settled;
        // SAFETY: as above.
        unsafe { settled.write_volatile(settled.read_volatile().wrapping_add(1)) };
    }

    /// Remembers a refusal.
    #[inline(always)]
    pub fn remember(&mut self, connection: &Connection, refused: Refused) {
        self.standing.remember(connection, self.moment, refused);
    }
}
