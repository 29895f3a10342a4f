//! What is said while counts are audited.

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use limiter_common::audit::{AuditDesk, Correction, FULL_WORDS};

use crate::atomic::AtomicWord;

#[btf_map]
static AUDIT: Array<AuditDesk, 1> = Array::new();

/// A slot was met whose entry is gone.
#[inline(always)]
pub fn lost() {
    if let Some(desk) = AUDIT.get_ptr_mut(0) {
        // SAFETY: an aligned word of a map value.
        unsafe { AtomicWord::new(&raw mut (*desk).lost) }.add(1);
    }
}

/// [`AuditDesk::full`]
#[inline(always)]
pub fn is_full(zone: u16) -> bool {
    let word = (u32::from(zone) / u64::BITS) as usize & (FULL_WORDS - 1);
    AUDIT
        .get(0)
        .is_some_and(|desk| desk.full[word] >> (u32::from(zone) % u64::BITS) & 1 != 0)
}

/// A connection was closed while it was counted.
#[inline(always)]
pub fn collided() {
    if let Some(desk) = AUDIT.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe { AtomicWord::new(&raw mut (*desk).collisions) }.add(1);
    }
}

/// What is to be corrected. Only the daemon writes it, and not while it runs the program.
#[inline(always)]
pub fn correction() -> Option<&'static Correction> {
    AUDIT.get(0).map(|desk| &desk.correction)
}
