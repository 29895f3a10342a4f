//! `iter/tcp`: adopts connections that were open before the programs were attached.
//!
//! The daemon has put the cookies of those it found into [`candidates`]. The kernel runs this with
//! the socket locked and hashed (net/ipv4/tcp_ipv4.c, bpf_iter_tcp_seq_show), so that it cannot be
//! closed between the charge and the request to be told of its close.

use core::ffi::c_void;

use crate::{
    charge,
    maps::{candidates, networks, policy, tokens},
};
use aya_ebpf::{
    bindings::BPF_SOCK_OPS_STATE_CB_FLAG,
    helpers::{
        bpf_get_socket_cookie,
        generated::{bpf_getsockopt, bpf_setsockopt, bpf_skc_to_tcp_sock},
    },
};

/// Context of `iter/tcp` (include/net/tcp.h, bpf_iter__tcp).
#[repr(C)]
pub struct IterTcp {
    meta: *mut c_void,
    socket: *mut c_void,
    uid: u32,
}

const SOL_TCP: i32 = 6;
/// include/uapi/linux/bpf.h
const TCP_BPF_SOCK_OPS_CB_FLAGS: i32 = 1008;

/// Adopts the socket if the daemon wants it and it is not counted yet.
#[inline(always)]
pub fn socket(ctx: *mut IterTcp) {
    // SAFETY: the kernel gives a valid context.
    let common = unsafe { (&raw const (*ctx).socket).read_volatile() };
    if common.is_null() {
        return;
    }
    // SAFETY: not null; null comes back for time-wait and request sockets.
    let socket: *mut c_void = unsafe { bpf_skc_to_tcp_sock(common) }.cast();
    if socket.is_null() {
        return;
    }
    // SAFETY: a full TCP socket.
    let cookie = unsafe { bpf_get_socket_cookie(socket) };
    let Some(connection) = candidates::find(cookie) else {
        return;
    };
    let Some(policy) = policy::in_force() else {
        return;
    };
    let Some(server) = policy.limits_at(&connection.local, connection.local_port) else {
        return;
    };
    if networks::is_exempt(server, &connection.remote) {
        candidates::done(cookie);
        return;
    }
    // SAFETY: a full TCP socket.
    let Some(token) = (unsafe { tokens::find_or_create(socket) }) else {
        return;
    };
    if token.count != 0 {
        candidates::done(cookie);
        return;
    }
    charge::adopted(server, &connection, token);
    if !watch_state(socket) {
        // What nobody would release must not be charged.
        charge::closed(&connection, token);
        return;
    }
    candidates::done(cookie);
}

/// Asks that `sock_ops` be called at each change of state, and keeps what other programs have asked
/// for. `false` on kernels before 6.12, which do not allow it here.
#[inline(always)]
fn watch_state(socket: *mut c_void) -> bool {
    let mut flags = 0_u32;
    let name = TCP_BPF_SOCK_OPS_CB_FLAGS;
    // SAFETY: a locked TCP socket; the value is four bytes on the stack.
    unsafe {
        if bpf_getsockopt(socket, SOL_TCP, name, (&raw mut flags).cast(), 4) != 0 {
            return false;
        }
        let mut flags = flags | BPF_SOCK_OPS_STATE_CB_FLAG;
        bpf_setsockopt(socket, SOL_TCP, name, (&raw mut flags).cast(), 4) == 0
    }
}
