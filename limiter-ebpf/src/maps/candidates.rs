//! Connections that the daemon found open and not counted, and wants to be adopted.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use limiter_common::{key::Connection, token::MAX_CANDIDATES};

/// Not preallocated: empty but for the moments of adoption. Its buckets are allocated all the same.
#[btf_map]
static CANDIDATES: HashMap<u64, Connection, MAX_CANDIDATES, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// Says that the connection with this socket cookie is counted: what is left is not.
#[inline(always)]
pub fn done(cookie: u64) {
    // It was there; whether it still is changes nothing.
    let _ = CANDIDATES.remove(cookie);
}

/// The connection with this socket cookie.
#[inline(always)]
pub fn find(cookie: u64) -> Option<Connection> {
    // SAFETY: only the daemon writes this map, and not while an iterator of its own runs.
    unsafe { CANDIDATES.get(cookie) }.copied()
}
