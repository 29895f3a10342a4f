//! Refused connections that wait to be closed.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{BPF_F_CLONE, BPF_F_NO_PREALLOC, bpf_map_type::BPF_MAP_TYPE_SK_STORAGE},
    btf_maps::Array,
    helpers::generated::bpf_sk_storage_get,
    macros::btf_map,
};
use limiter_common::{admission::Word as _, token::Waiter};

use crate::atomic::AtomicWord;

/// The daemon gives its sockets a value; connections inherit it (net/core/bpf_sk_storage.c,
/// bpf_sk_storage_clone).
#[btf_map]
static WAITERS: InheritedStorage<Waiter> = InheritedStorage::new();

/// As aya's `SkStorage`, which does not take flags.
#[repr(C)]
struct InheritedStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize],
}

impl<T> InheritedStorage<T> {
    const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }
}

// SAFETY: the fields say what the map is like, and are never read.
unsafe impl<T> Sync for InheritedStorage<T> {}

#[btf_map]
static WAITING: Array<u64, 1> = Array::new();

/// What a socket waits for. `None`: it is not one to which refused attempts are brought.
///
/// # Safety
///
/// `socket` is a socket from the program's context, not null.
#[inline(always)]
pub unsafe fn find(socket: *mut c_void) -> Option<&'static mut Waiter> {
    let map = (&raw const WAITERS).cast_mut().cast();
    // SAFETY: as for tokens.
    unsafe {
        bpf_sk_storage_get(map, socket, core::ptr::null_mut(), 0)
            .cast::<Waiter>()
            .as_mut()
    }
}

/// Counts one more, at most `max` over all keys.
#[inline(always)]
pub fn enter(max: u64) -> bool {
    let Some(total) = total() else { return false };
    if total.fetch_add(1) < max {
        return true;
    }
    total.add(u64::MAX);
    false
}

/// Counts one less.
#[inline(always)]
pub fn leave() {
    if let Some(total) = total() {
        total.add(u64::MAX);
    }
}

/// Whether one more may wait, over all keys.
#[inline(always)]
pub fn has_room(max: u64) -> bool {
    total().is_some_and(|total| total.load() < max)
}

#[inline(always)]
fn total() -> Option<AtomicWord> {
    // SAFETY: an aligned word of a map value.
    WAITING
        .get_ptr_mut(0)
        .map(|word| unsafe { AtomicWord::new(word) })
}
