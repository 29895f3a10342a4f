//! `sk_lookup`: brings attempts that are to be refused to a socket of the daemon.
//!
//! Runs when the kernel looks for the listener of a packet, so established connections pay nothing.
//! The packet itself cannot be seen here, only its addresses: what is brought to the socket is
//! judged and counted by `limiter_refuse`, which sees it.

use aya_ebpf::{
    bindings::{BPF_SK_LOOKUP_F_REPLACE, bpf_sk_lookup, bpf_sock},
    helpers::generated::bpf_sk_assign,
    programs::SkLookupContext,
};
use limiter_common::{
    key::Connection,
    policy::{ACTION_CLOSE, ACTION_DROP, ServerPolicy},
};

use crate::{
    context::{load, load_addresses},
    judge::first_no,
    maps::{listening, policy, targets},
};

/// What a packet that looks for a listener was found to be.
pub enum Lookup {
    /// Nothing that we have a say in.
    NotLimited,
    /// No limit says no, or it is refused at the listener.
    WithinLimits,
    /// A limit says no; the socket is chosen.
    Diverted,
}

const IPPROTO_TCP: u32 = 6;

/// Chooses the namespace's socket, and lets [`lookup`] decide whether it stays chosen.
#[inline(always)]
pub fn divert(ctx: &SkLookupContext) {
    // UDP comes by with every packet. Another program's choice is left alone.
    if load!(bpf_sk_lookup, ctx.lookup, protocol) != IPPROTO_TCP
        || !chosen(ctx.lookup).is_null()
        || !targets::choose(ctx)
    {
        return;
    }
    targets::go_on(ctx);
    // Nobody to decide.
    unchoose(ctx.lookup);
}

/// Decides whether this packet is to be refused.
#[inline(always)]
pub fn lookup(ctx: *mut bpf_sk_lookup) -> Lookup {
    let verdict = decide(ctx);
    if !matches!(verdict, Lookup::Diverted) {
        unchoose(ctx);
    }
    verdict
}

#[inline(always)]
fn decide(ctx: *mut bpf_sk_lookup) -> Lookup {
    let socket = chosen(ctx);
    if socket.is_null() {
        return Lookup::NotLimited;
    }
    // SAFETY: not null.
    let target_port = unsafe { (&raw const (*socket).src_port).read_volatile() };
    let Some(policy) = policy::in_force() else {
        return Lookup::NotLimited;
    };
    let (remote, local) = load_addresses!(bpf_sk_lookup, ctx);
    let connection = Connection {
        remote,
        local,
        // Part of no key.
        remote_port: 0,
        local_port: load!(bpf_sk_lookup, ctx, local_port) as u16,
        padding: 0,
    };
    let Some(server) = policy.limits_at(&connection.local, connection.local_port) else {
        return Lookup::NotLimited;
    };
    if server.dry_run != 0 || server.action == ACTION_DROP {
        return Lookup::WithinLimits;
    }
    if limiter_is_to_divert(server, &connection, target_port) == 0 {
        return Lookup::WithinLimits;
    }
    Lookup::Diverted
}

/// Whether a limit says no and the daemon's socket has the answer. A global function, see
/// [`crate::charge`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_is_to_divert(
    server: *const ServerPolicy,
    connection: *const Connection,
    target_port: u32,
) -> u32 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(connection), Some(policy)) =
        (unsafe { (server.as_ref(), connection.as_ref(), policy::in_force()) })
    else {
        return 0;
    };
    let Some(no) = first_no(server, connection) else {
        return 0;
    };
    if server.action == ACTION_CLOSE && !no.may_wait(policy) {
        // Dropped at the listener.
        return 0;
    }
    listening::is_limited(&connection.local, connection.local_port, target_port).into()
}

#[inline(always)]
fn chosen(ctx: *mut bpf_sk_lookup) -> *mut bpf_sock {
    // SAFETY: the kernel gives a valid context.
    unsafe { (&raw const (*ctx).__bindgen_anon_1.__bindgen_anon_1.sk).read_volatile() }
}

#[inline(always)]
fn unchoose(ctx: *mut bpf_sk_lookup) {
    // SAFETY: the kernel gives a valid context; no socket is a socket, too.
    unsafe {
        bpf_sk_assign(
            ctx.cast(),
            core::ptr::null_mut(),
            BPF_SK_LOOKUP_F_REPLACE.into(),
        )
    };
}
