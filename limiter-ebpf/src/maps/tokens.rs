//! What a counted socket remembers.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE, btf_maps::SkStorage,
    helpers::generated::bpf_sk_storage_get, macros::btf_map,
};
use limiter_common::token::Token;

#[btf_map]
static TOKENS: SkStorage<Token> = SkStorage::new();

/// The token of this socket, if it has one.
///
/// # Safety
///
/// `socket` is a full socket from the program's context or from a helper, not null.
#[inline(always)]
pub unsafe fn find(socket: *mut c_void) -> Option<&'static mut Token> {
    // SAFETY: by contract.
    unsafe { get(socket, 0) }
}

/// The token of this socket; a new one of zeros if it has none. `None` if there is no memory.
///
/// # Safety
///
/// As [`find`].
#[inline(always)]
pub unsafe fn find_or_create(socket: *mut c_void) -> Option<&'static mut Token> {
    // SAFETY: by contract.
    unsafe { get(socket, BPF_SK_STORAGE_GET_F_CREATE.into()) }
}

#[inline(always)]
unsafe fn get(socket: *mut c_void, flags: u64) -> Option<&'static mut Token> {
    let map = (&raw const TOKENS).cast_mut().cast();
    // SAFETY: the kernel gives a pointer to the storage of this socket, which lives as long as the
    // program runs, or null. Programs that run for one socket run one after the other: it is
    // locked, or not yet known to anybody else.
    unsafe {
        bpf_sk_storage_get(map, socket, core::ptr::null_mut(), flags)
            .cast::<Token>()
            .as_mut()
    }
}
