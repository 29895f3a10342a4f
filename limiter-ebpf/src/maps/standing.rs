//! Refusals that stand for a moment, see [`limiter_common::standing`].

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use limiter_common::{
    attempt::Client,
    key::Connection,
    standing::{Moment, Refused, SLOTS, Standing},
};

use super::{policy::Policy, tallies, zones};
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
    /// Where the next refusal of this client is counted, if one stands.
    #[inline(always)]
    pub fn stands(&self, connection: &Connection) -> Option<tallies::Handle> {
        if !self.standing.is_of(connection, self.moment)
            || zones::freed(self.standing.zone.into()) != Some(self.standing.freed)
        {
            return None;
        }
        self.tally()
    }

    /// Where refusals of the key are counted, as long as the key has it.
    #[inline(always)]
    pub fn tally(&self) -> Option<tallies::Handle> {
        tallies::leased(self.standing.lease)
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

    /// Whether the client has been refused in this tick.
    #[inline(always)]
    pub fn comes_again(&self, client: Client) -> bool {
        self.standing.comes_again(client, self.moment)
    }

    /// The client is refused.
    #[inline(always)]
    pub fn refused(&mut self, client: Client) {
        self.standing.refused(client, self.moment);
    }

    /// Remembers a refusal.
    #[inline(always)]
    pub fn remember(&mut self, connection: &Connection, refused: Refused) {
        self.standing.remember(connection, self.moment, refused);
    }
}
