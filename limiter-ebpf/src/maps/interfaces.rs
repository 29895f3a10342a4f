//! What the daemon knows of the interfaces.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use limiter_common::policy::MAX_INTERFACES;

#[btf_map]
static INTERFACES: HashMap<u32, u32, MAX_INTERFACES, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// Whether what is sent back from the program on this interface arrives.
#[inline(always)]
pub fn can_transmit(index: u32) -> bool {
    // SAFETY: the value is one word, and replaced whole.
    unsafe { INTERFACES.get(index) }.is_some_and(|can| *can != 0)
}
