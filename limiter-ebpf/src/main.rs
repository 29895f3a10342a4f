//! The programs that run in the kernel, and the table from what they found to what the kernel does.
//!
//! | program | hook | room |
//! |---|---|---|
//! | `limiter_count` | `sock_ops` | [`hooks::count`] |
//! | `limiter_enforce` | `cgroup_skb/ingress` | [`hooks::enforce`] |
//! | `limiter_adopt` | `iter/tcp` | [`hooks::adopt`] |
#![no_std]
#![no_main]
#![expect(internal_features, reason = "atomics of the BPF target, see atomic.rs")]
#![feature(asm_experimental_arch, core_intrinsics)]

mod atomic;
mod charge;
mod debug;
mod hooks;
mod maps;
mod report;

use aya_ebpf::{
    macros::{cgroup_skb, sock_ops, xdp},
    programs::{SkBuffContext, SockOpsContext, XdpContext},
};
use hooks::{adopt::IterTcp, enforce::Packet};

/// Return value of `cgroup_skb`: the packet goes on.
const PASS: i32 = 1;
/// Return value of `cgroup_skb`: the packet is dropped (net/core/filter.c, sk_filter_trim_cap).
const DROP: i32 = 0;
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
        | Packet::NotLimited
        | Packet::WithinLimits
        | Packet::DryRun => PASS,
        Packet::Refused => DROP,
    }
}

/// Refuses handshakes on an interface.
#[xdp]
fn limiter_xdp(ctx: XdpContext) -> u32 {
    hooks::early::packet(ctx.ctx)
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

// Without this the kernel refuses the helpers that are for GPL-compatible programs.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
