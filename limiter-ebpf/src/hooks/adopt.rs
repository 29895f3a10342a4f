//! `iter/tcp`: charges the connections that are open for what the policy asks.
//!
//! Those that are counted already have a token, which says all that is needed. Others were open
//! before the programs were attached, or before a policy had a server for them: the daemon has put
//! the cookies of those it found into [`candidates`]. The kernel runs this with the socket locked
//! and hashed (net/ipv4/tcp_ipv4.c, bpf_iter_tcp_seq_show), so that it cannot be closed between the
//! charge and the request to be told of its close.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_get_socket_cookie, generated::bpf_skc_to_tcp_sock};
use limiter_common::token::Token;

use super::audit;
use crate::{
    charge,
    maps::{
        candidates, networks, outgoing,
        policy::{self, Policy},
        tokens, upstreams, waiters,
    },
    options,
};

/// Context of `iter/tcp` (include/net/tcp.h, bpf_iter__tcp).
#[repr(C)]
pub struct IterTcp {
    meta: *mut c_void,
    socket: *mut c_void,
    uid: u32,
}

/// Looks at one socket.
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
    let Some(policy) = policy::in_force() else {
        return;
    };
    // SAFETY: a full TCP socket.
    let cookie = unsafe { bpf_get_socket_cookie(socket) };
    adopt_outgoing(socket, cookie);
    // SAFETY: a full TCP socket.
    match unsafe { tokens::find(socket) } {
        Some(token) if token.is_counted != 0 => {
            // It may have been established after the daemon had found it.
            candidates::done(cookie);
            settle(policy, token);
        }
        _ => adopt(policy, socket, cookie),
    }
}

/// Makes the token hold what the policy asks for. While the policy changes, it takes what the next
/// one asks for and gives nothing back.
#[inline(always)]
fn settle(policy: Policy, token: &mut Token) {
    if token.flags & Token::EXCESS != 0 {
        // It is being destroyed.
        return;
    }
    charge::renew(token);
    let next = policy.next();
    let server = networks::counts_at(next.unwrap_or(policy), &token.connection);
    if let Some(server) = server {
        charge::cover(server, token);
    }
    if next.is_some() {
        return;
    }
    match server {
        Some(server) => charge::trim(server, token),
        None => charge::give_back(token),
    }
}

/// Counts the socket for a server of an upstream, if the daemon wants it.
#[inline(always)]
fn adopt_outgoing(socket: *mut c_void, cookie: u64) {
    let Some(index) = outgoing::wanted(cookie) else {
        return;
    };
    // SAFETY: a full TCP socket.
    let Some(outgoing) = (unsafe { outgoing::find_or_create(socket) }) else {
        return;
    };
    if outgoing.held == 0 {
        if !options::watch_state(socket) {
            // What nobody would release must not be charged.
            return;
        }
        outgoing.is_followed = 1;
        upstreams::charge(index, 0, outgoing);
    }
    outgoing::done(cookie);
}

/// Counts the socket if the daemon wants it.
#[inline(always)]
fn adopt(policy: Policy, socket: *mut c_void, cookie: u64) {
    let Some(connection) = candidates::find(cookie) else {
        return;
    };
    let Some(server) = networks::counts_at(policy.next().unwrap_or(policy), &connection) else {
        return;
    };
    // SAFETY: a full TCP socket.
    if unsafe { waiters::find(socket) }.is_some() {
        // Refused, and accepted by the daemon.
        candidates::done(cookie);
        return;
    }
    // SAFETY: a full TCP socket.
    let Some(token) = (unsafe { tokens::find_or_create(socket) }) else {
        return;
    };
    token.connection = connection;
    if !options::watch_state(socket) {
        // What nobody would release must not be charged.
        return;
    }
    audit::starts(policy, token);
    token.is_counted = 1;
    charge::cover(server, token);
    audit::counts(policy, token);
    candidates::done(cookie);
}
