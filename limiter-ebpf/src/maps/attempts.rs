//! Fingerprints of refused attempts.

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use limiter_common::attempt::{Fingerprint, SLOTS};

#[btf_map]
static ATTEMPTS: Array<u64, { SLOTS as usize }> = Array::new();

/// Whether this attempt was the last one remembered in its slot. From now on it is.
#[inline(always)]
pub fn is_repeated(attempt: Fingerprint) -> bool {
    let Some(slot) = ATTEMPTS.get_ptr_mut(attempt.slot()) else {
        return false;
    };
    // SAFETY: an aligned word in the array; racing writers replace it whole.
    unsafe {
        if slot.read_volatile() == attempt.hash {
            return true;
        }
        slot.write_volatile(attempt.hash);
    }
    false
}
