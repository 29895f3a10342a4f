//! The programs that run in the kernel, and the table from what they found to what the kernel does.
//!
//! | program | hook | room |
//! |---|---|---|
//! | `limiter_count` | `sock_ops` | [`hooks::count`] |
//! | `limiter_enforce` | `cgroup_skb/ingress` | [`hooks::enforce`] |
//! | `limiter_adopt` | `iter/tcp` | [`hooks::adopt`] |
//! | `limiter_xdp` | `xdp` | [`hooks::early`] |
//! | `limiter_divert`, `limiter_lookup` | `sk_lookup` | [`hooks::divert`] |
//! | `limiter_refuse` | `sk_reuseport` | [`hooks::refuse`] |
//! | `limiter_connect4`, `limiter_connect6` | `cgroup/connect4`, `connect6` | [`hooks::connect`] |
//! | `limiter_sock_release` | `cgroup/sock_release` | [`hooks::connect`] |
//! | `limiter_hold` | `cgroup_skb/egress` | [`hooks::hold`] |
//! | `limiter_wait` | `sock_ops` | [`hooks::wait`] |
//! | `limiter_audit` | `iter/bpf_sk_storage_map` | [`hooks::audit`] |
//! | `limiter_correct` | none | [`hooks::correct`] |
#![no_std]
#![no_main]
#![expect(internal_features, reason = "atomics of the BPF target, see atomic.rs")]
#![feature(asm_experimental_arch, core_intrinsics)]

mod atomic;
mod bytes;
mod charge;
mod clock;
mod context;
mod debug;
mod hooks;
mod judge;
mod maps;
mod options;
mod report;

use aya_ebpf::{
    bindings::{
        sk_action::{SK_DROP, SK_PASS},
        xdp_action::{XDP_DROP, XDP_PASS, XDP_TX},
    },
    macros::{cgroup_skb, cgroup_sock, cgroup_sock_addr, sk_lookup, sk_reuseport, sock_ops, xdp},
    programs::{
        SkBuffContext, SkLookupContext, SkReuseportContext, SockAddrContext, SockContext,
        SockOpsContext, XdpContext,
    },
};
use hooks::{
    adopt::IterTcp, audit::IterStorage, connect::Connect, divert::Lookup, early::Early,
    enforce::Packet, hold::Outgoing, refuse::Diverted,
};

/// Return value of cgroup programs: the packet, the connect goes on.
const PASS: i32 = 1;
/// Return value of `cgroup_skb`: the packet is dropped (net/core/filter.c, sk_filter_trim_cap).
const DROP: i32 = 0;
/// Return value of `cgroup_skb/egress`: the packet is dropped, and its sender told of congestion
/// (kernel/bpf/cgroup.c, __cgroup_bpf_run_filter_skb).
const DROP_CONGESTED: i32 = 2;
/// Return value of `sock_ops`: the operation goes on; anything it asked for is in `reply`.
const PROCEED: u32 = 1;
/// Return value of an iterator: go on with the next object.
const NEXT: i32 = 0;

/// Refuses handshakes at a listener.
#[cgroup_skb(ingress)]
fn limiter_enforce(ctx: SkBuffContext) -> i32 {
    match hooks::enforce::packet(ctx.skb.skb) {
        Packet::NotAtListener
        | Packet::NoHandshake
        | Packet::Waits
        | Packet::NotLimited
        | Packet::WithinLimits
        | Packet::DryRun => PASS,
        Packet::Refused => DROP,
    }
}

/// Refuses attempts on an interface.
#[xdp]
fn limiter_xdp(ctx: XdpContext) -> u32 {
    match hooks::early::frame(ctx.ctx) {
        Early::NotUnderstood
        | Early::NoAttempt
        | Early::NotLimited
        | Early::DryRun
        | Early::WithinLimits => XDP_PASS,
        Early::Refused => XDP_DROP,
        Early::Answered => XDP_TX,
    }
}

/// Chooses the socket that refused attempts are brought to; [`limiter_lookup`] decides.
#[sk_lookup]
fn limiter_divert(ctx: SkLookupContext) -> u32 {
    hooks::divert::divert(&ctx);
    SK_PASS
}

/// Brings attempts that are to be refused to the chosen socket.
#[sk_lookup]
fn limiter_lookup(ctx: SkLookupContext) -> u32 {
    match hooks::divert::lookup(ctx.lookup) {
        Lookup::NotLimited | Lookup::WithinLimits | Lookup::Diverted => SK_PASS,
    }
}

/// Answers what was brought to the daemon's socket.
#[sk_reuseport]
fn limiter_refuse(ctx: SkReuseportContext) -> u32 {
    match hooks::refuse::packet(ctx.md) {
        // The kernel answers with a RST (net/ipv4/inet_hashtables.c, __inet_lookup_listener).
        Diverted::NoAttempt | Diverted::Own | Diverted::Reset => SK_DROP,
        Diverted::Accept | Diverted::Completion => SK_PASS,
    }
}

/// Counts and refuses outgoing IPv4 connections.
#[cgroup_sock_addr(connect4)]
fn limiter_connect4(ctx: SockAddrContext) -> i32 {
    connect(hooks::connect::v4(ctx.sock_addr))
}

/// Counts and refuses outgoing IPv6 connections, and those to IPv4 of an IPv6 socket.
#[cgroup_sock_addr(connect6)]
fn limiter_connect6(ctx: SockAddrContext) -> i32 {
    connect(hooks::connect::v6(ctx.sock_addr))
}

#[inline(always)]
fn connect(outcome: Connect) -> i32 {
    match outcome {
        Connect::NoUpstream
        | Connect::WithinLimit
        | Connect::DryRun
        | Connect::Waits
        | Connect::Untracked => PASS,
        // connect() fails with what the hook has set, else with EPERM (kernel/bpf/cgroup.c).
        Connect::Refused => DROP,
    }
}

/// Holds SYNs back until there is a slot for their connection.
#[cgroup_skb(egress)]
fn limiter_hold(ctx: SkBuffContext) -> i32 {
    match hooks::hold::packet(ctx.skb.skb) {
        Outgoing::Passes => PASS,
        Outgoing::Held => DROP_CONGESTED,
    }
}

/// Gives back the slot of a socket that is closed without ever having sent a SYN.
#[cgroup_sock(sock_release)]
fn limiter_sock_release(ctx: SockContext) -> i32 {
    hooks::connect::release(ctx.sock);
    PASS
}

/// Counts refused connections that wait to be closed.
#[sock_ops]
fn limiter_wait(ctx: SockOpsContext) -> u32 {
    hooks::wait::operation(ctx.ops);
    PROCEED
}

/// Counts a connection from establishment to close.
#[sock_ops]
fn limiter_count(ctx: SockOpsContext) -> u32 {
    hooks::count::operation(ctx.ops);
    PROCEED
}

/// Adopts connections that were open before the programs were attached.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
fn limiter_adopt(ctx: *mut IterTcp) -> i32 {
    hooks::adopt::socket(ctx);
    NEXT
}

/// Counts again who holds slots.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
fn limiter_audit(ctx: *mut IterStorage) -> i32 {
    hooks::audit::token(ctx);
    NEXT
}

/// Corrects a count. Attached nowhere.
#[xdp]
fn limiter_correct(_: XdpContext) -> u32 {
    hooks::correct::correct() as u32
}

// Without this the kernel refuses the helpers that are for GPL-compatible programs.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
