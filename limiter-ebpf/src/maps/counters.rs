//! Per-CPU counters of each zone.
//!
//! Increments are atomic although the counters are per CPU: a program in process context (close)
//! can be interrupted between load and store by one in softirq context on the same CPU.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use limiter_common::{counters::ZoneCounters, policy::MAX_ZONE_INDICES};

use crate::atomic::AtomicWord;

#[btf_map]
static ZONE_COUNTERS: PerCpuArray<ZoneCounters, { MAX_ZONE_INDICES as usize }> = PerCpuArray::new();

/// The counters of one zone on this CPU.
#[derive(Clone, Copy)]
pub struct Counters(*mut ZoneCounters);

/// The counters of the zone at `index`.
#[inline(always)]
pub fn of_zone(index: u16) -> Option<Counters> {
    ZONE_COUNTERS.get_ptr_mut(u32::from(index)).map(Counters)
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident => $field:ident;)*) => {
        impl Counters {
            $(
                $(#[$doc])*
                #[inline(always)]
                pub fn $verb(self) {
                    // SAFETY: the pointer comes from the map's look-up; the field is an aligned word.
                    unsafe { AtomicWord::new(&raw mut (*self.0).$field) }.add(1);
                }
            )*
        }
    };
}

verbs! {
    /// [`ZoneCounters::passed`]
    passed => passed;
    /// [`ZoneCounters::skipped`]
    skipped => skipped;
    /// [`ZoneCounters::rejected`]
    rejected => rejected;
    /// [`ZoneCounters::rejected_dry_run`]
    rejected_dry_run => rejected_dry_run;
    /// [`ZoneCounters::exhausted`]
    exhausted => exhausted;
    /// [`ZoneCounters::exhausted_dry_run`]
    exhausted_dry_run => exhausted_dry_run;
    /// [`ZoneCounters::syn_retransmits`]
    retransmitted => syn_retransmits;
    /// [`ZoneCounters::evicted`]
    evicted => evicted;
    /// [`ZoneCounters::opened`]
    opened => opened;
    /// [`ZoneCounters::closed`]
    closed => closed;
    /// [`ZoneCounters::excess`]
    excess => excess;
    /// [`ZoneCounters::untracked`]
    untracked => untracked;
}

impl Counters {
    /// [`ZoneCounters::drift`]: so many slots.
    #[inline(always)]
    pub fn drifted(self, slots: u32) {
        // SAFETY: the pointer comes from the map's look-up; the field is an aligned word.
        unsafe { AtomicWord::new(&raw mut (*self.0).drift) }.add(slots.into());
    }

    /// Makes the number of slots that are taken less by `too_many`, or more if that is below zero.
    #[inline(always)]
    pub fn correct_slots(self, too_many: i32) {
        // Both only grow.
        let field = if too_many > 0 {
            // SAFETY: as above.
            unsafe { &raw mut (*self.0).closed }
        } else {
            // SAFETY: as above.
            unsafe { &raw mut (*self.0).opened }
        };
        // SAFETY: as above.
        unsafe { AtomicWord::new(field) }.add(too_many.unsigned_abs().into());
    }
}
