//! Local addresses and ports at which attempts were refused a moment ago, see
//! [`limiter_common::attempt::Endpoint`].

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use limiter_common::attempt::{ENDPOINT_SLOTS, Endpoint, Epoch};

use crate::clock::ticks;

#[btf_map]
static ENDPOINTS: Array<u64, { ENDPOINT_SLOTS as usize }> = Array::new();

/// Whether a hook at a listener has refused an attempt there in this epoch.
#[inline(always)]
pub fn has_refused(endpoint: Endpoint) -> bool {
    slot(endpoint).is_some_and(|slot| {
        // SAFETY: an aligned word in the array; racing writers replace it whole.
        let known = unsafe { slot.read_volatile() };
        known == endpoint.refused_in(Epoch::of(ticks()))
    })
}

/// Says that a hook at a listener refuses an attempt there.
#[inline(always)]
pub fn refused(endpoint: Endpoint) {
    if let Some(slot) = slot(endpoint) {
        // SAFETY: as above.
        unsafe { slot.write_volatile(endpoint.refused_in(Epoch::of(ticks()))) };
    }
}

#[inline(always)]
fn slot(endpoint: Endpoint) -> Option<*mut u64> {
    ENDPOINTS.get_ptr_mut(endpoint.slot())
}
