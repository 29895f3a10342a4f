//! What a socket remembers that has connected to a server of an upstream, and whom to adopt.
//!
//! A map of its own, not that of tokens: a connection that a listener has accepted and one that a
//! process has opened are released from different things, and neither inherits anything.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE},
    btf_maps::{HashMap, SkStorage},
    helpers::generated::bpf_sk_storage_get,
    macros::btf_map,
};
use limiter_common::{token::MAX_CANDIDATES, upstream::Outgoing};

#[btf_map]
static OUTGOING: SkStorage<Outgoing> = SkStorage::new();

/// Not preallocated, as `CANDIDATES`.
#[btf_map]
static OUTGOING_CANDIDATES: HashMap<u64, u32, MAX_CANDIDATES, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// What this socket remembers, if it does.
///
/// # Safety
///
/// `socket` is a full socket from the program's context or from a helper, or the context of a program
/// whose context is a socket; not null.
#[inline(always)]
pub unsafe fn find(socket: *mut c_void) -> Option<&'static mut Outgoing> {
    // SAFETY: by contract.
    unsafe { get(socket, 0) }
}

/// The same; zeros if it remembers nothing. `None` if there is no memory.
///
/// # Safety
///
/// As [`find`].
#[inline(always)]
pub unsafe fn find_or_create(socket: *mut c_void) -> Option<&'static mut Outgoing> {
    // SAFETY: by contract.
    unsafe { get(socket, BPF_SK_STORAGE_GET_F_CREATE.into()) }
}

/// Index of the server that the socket with this cookie is to be counted for.
#[inline(always)]
pub fn wanted(cookie: u64) -> Option<u32> {
    // SAFETY: only the daemon writes this map, and not while an iterator of its own runs.
    unsafe { OUTGOING_CANDIDATES.get(cookie) }.copied()
}

/// Says that it is counted: what is left is not.
#[inline(always)]
pub fn done(cookie: u64) {
    // It was there; whether it still is changes nothing.
    let _ = OUTGOING_CANDIDATES.remove(cookie);
}

#[inline(always)]
unsafe fn get(socket: *mut c_void, flags: u64) -> Option<&'static mut Outgoing> {
    let map = (&raw const OUTGOING).cast_mut().cast();
    // SAFETY: the kernel gives a pointer to the storage of this socket, which lives as long as the
    // program runs, or null.
    unsafe {
        bpf_sk_storage_get(map, socket, core::ptr::null_mut(), flags)
            .cast::<Outgoing>()
            .as_mut()
    }
}
