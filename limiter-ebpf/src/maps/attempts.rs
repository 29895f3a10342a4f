//! Fingerprints of refused attempts.

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use limiter_common::attempt::{Fingerprint, SLOTS};

#[btf_map]
static ATTEMPTS: Array<u64, { SLOTS as usize }> = Array::new();

/// Whether this attempt was the last one remembered in its slot.
#[inline(always)]
pub fn is_known(fingerprint: Fingerprint) -> bool {
    slot(fingerprint).is_some_and(|slot| {
        // SAFETY: an aligned word in the array; racing writers replace it whole.
        let known = unsafe { slot.read_volatile() };
        known == fingerprint.0
    })
}

/// Remembers this attempt.
#[inline(always)]
pub fn remember(fingerprint: Fingerprint) {
    if let Some(slot) = slot(fingerprint) {
        // SAFETY: as above.
        unsafe { slot.write_volatile(fingerprint.0) };
    }
}

#[inline(always)]
fn slot(fingerprint: Fingerprint) -> Option<*mut u64> {
    ATTEMPTS.get_ptr_mut(fingerprint.slot())
}
