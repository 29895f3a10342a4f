//! Options of a TCP socket, from a program that runs with the socket locked: `ctx` is the context of
//! `sock_ops`, `connect4` or `connect6`, or in an iterator the socket.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_SOCK_OPS_STATE_CB_FLAG,
    helpers::generated::{bpf_getsockopt, bpf_setsockopt},
};

const SOL_TCP: i32 = 6;
/// include/uapi/linux/bpf.h
const TCP_BPF_SOCK_OPS_CB_FLAGS: i32 = 1008;

/// The value of an option of four bytes. `None`: this kernel does not tell it here.
#[inline(always)]
pub fn get(ctx: *mut c_void, name: i32) -> Option<u32> {
    let mut value = 0_u32;
    let place = (&raw mut value).cast();
    // SAFETY: the socket is locked; the value is four bytes on the stack.
    (unsafe { bpf_getsockopt(ctx, SOL_TCP, name, place, 4) } == 0).then_some(value)
}

/// Sets it. `false`: it is refused.
#[inline(always)]
pub fn set(ctx: *mut c_void, name: i32, value: u32) -> bool {
    let mut value = value;
    let place = (&raw mut value).cast();
    // SAFETY: as above.
    (unsafe { bpf_setsockopt(ctx, SOL_TCP, name, place, 4) }) == 0
}

/// Asks that `sock_ops` be called at each change of state, and keeps what other programs have asked for.
/// `false` on kernels before 6.12, which do not allow it outside of `sock_ops`.
#[inline(always)]
pub fn watch_state(ctx: *mut c_void) -> bool {
    match get(ctx, TCP_BPF_SOCK_OPS_CB_FLAGS) {
        Some(flags) => set(
            ctx,
            TCP_BPF_SOCK_OPS_CB_FLAGS,
            flags | BPF_SOCK_OPS_STATE_CB_FLAG,
        ),
        None => false,
    }
}
