//! `sock_ops`, for outgoing connections to the servers of upstreams: follows them from their SYN on, and
//! has those wait that are to wait.

use aya_ebpf::{
    bindings::{BPF_SOCK_OPS_RTO_CB_FLAG, BPF_SOCK_OPS_STATE_CB_FLAG, bpf_sock_ops},
    helpers::generated::bpf_get_netns_cookie,
};
use limiter_common::upstream::{
    Outgoing,
    queue::{SYN_BYTES, Waiting},
};

use super::count::{connection, socket, watch};
use crate::{
    clock::now_ns,
    maps::{
        outgoing,
        queue::{self, Place},
        upstreams,
    },
    options,
};

/// include/uapi/linux/tcp.h
const TCP_SYNCNT: i32 = 7;
const TCP_USER_TIMEOUT: i32 = 18;
/// include/uapi/linux/bpf.h
const TCP_BPF_IW: i32 = 1001;
/// The same. It sets the threshold of slow start, too.
const TCP_BPF_SNDCWND_CLAMP: i32 = 1002;
/// include/net/tcp.h
const TCP_INIT_CWND: u32 = 10;
/// The same.
const TCP_INFINITE_SSTHRESH: u32 = 0x7fff_ffff;
/// As often as the kernel lets a socket send its SYN (include/net/tcp.h, MAX_TCP_SYNCNT): twice a
/// second, for a minute.
const MAX_TCP_SYNCNT: u32 = 127;

/// The way to a SYN begins. A socket that holds the slot of an upstream is followed from here on: what
/// happens before cannot fail after this.
#[inline(always)]
pub fn connects(ctx: *mut bpf_sock_ops) {
    let Some(outgoing) = find(ctx) else { return };
    follow(ctx, outgoing);
}

/// A SYN is about to be sent: now its two ends are known, and it takes its place in the line.
#[inline(always)]
pub fn sends_syn(ctx: *mut bpf_sock_ops) {
    let Some(outgoing) = find(ctx) else { return };
    follow(ctx, outgoing);
    if outgoing.awaited != 0 {
        watch(ctx, BPF_SOCK_OPS_RTO_CB_FLAG);
        be_patient(ctx, outgoing);
        go_on(ctx, outgoing, 0);
    }
}

/// A SYN is about to be sent once more.
#[inline(always)]
pub fn retries(ctx: *mut bpf_sock_ops) {
    let Some(outgoing) = find(ctx) else { return };
    if outgoing.awaited != 0 {
        // SAFETY: the kernel gives a valid context.
        let retransmits = unsafe { (&raw const (*ctx).__bindgen_anon_1.args[0]).read_volatile() };
        go_on(ctx, outgoing, retransmits);
    }
}

/// The server has answered.
#[inline(always)]
pub fn is_connected(ctx: *mut bpf_sock_ops) {
    let Some(outgoing) = find(ctx) else { return };
    if outgoing.awaited != 0 && matches!(queue::place(outgoing), Place::Admitted) {
        queue::take_slot(outgoing);
    }
    be_as_before(ctx, outgoing, 0);
}

/// Its windows are set, and nothing is sent yet. What has waited looks to the kernel as if its SYN had been
/// lost again and again, and would begin with a window of one segment (net/ipv4/tcp_input.c,
/// tcp_init_transfer, RFC 6298, section 5).
#[inline(always)]
pub fn begins(ctx: *mut bpf_sock_ops) {
    let Some(outgoing) = find(ctx) else { return };
    if outgoing.timeout_ms != 0 {
        outgoing.timeout_ms = 0;
        options::set(ctx.cast(), TCP_BPF_SNDCWND_CLAMP, TCP_INFINITE_SSTHRESH);
        options::set(ctx.cast(), TCP_BPF_IW, TCP_INIT_CWND);
    }
}

/// It is over.
#[inline(always)]
pub fn closed(ctx: *mut bpf_sock_ops) {
    let Some(outgoing) = find(ctx) else { return };
    upstreams::give_back(outgoing);
    be_as_before(ctx, outgoing, 0);
}

#[inline(always)]
fn find(ctx: *mut bpf_sock_ops) -> Option<&'static mut Outgoing> {
    // SAFETY: a full socket, from the context.
    socket(ctx).and_then(|socket| unsafe { outgoing::find(socket) })
}

#[inline(always)]
fn follow(ctx: *mut bpf_sock_ops, outgoing: &mut Outgoing) {
    upstreams::confirm(outgoing);
    outgoing.is_followed = 1;
    watch(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
}

/// Has a socket that waits be where it belongs.
#[inline(always)]
fn go_on(ctx: *mut bpf_sock_ops, outgoing: &mut Outgoing, retransmits: u32) {
    if outgoing.ticket == 0 {
        limiter_join(ctx, outgoing);
    }
    // A slot may have become free before there was anybody to take it.
    queue::admit(outgoing.awaited.wrapping_sub(1));
    if matches!(queue::place(outgoing), Place::Admitted) {
        queue::take_slot(outgoing);
        be_as_before(ctx, outgoing, retransmits);
    }
}

/// A global function, see [`crate::charge`]: it loops, and keeps a large value off its caller's stack.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_join(ctx: *mut bpf_sock_ops, outgoing: *mut Outgoing) -> u32 {
    // SAFETY: the verifier has checked that the pointer is to such a value or null.
    let Some(outgoing) = (unsafe { outgoing.as_mut() }) else {
        return 0;
    };
    let mut waiting = Waiting {
        state: 0,
        since_ns: now_ns(),
        held_ns: 0,
        // SAFETY: the context of this program.
        netns_cookie: unsafe { bpf_get_netns_cookie(ctx.cast()) },
        connection: connection(ctx),
        queue: outgoing.held.wrapping_sub(1) as u32,
        mark: 0,
        bound_interface: 0,
        interface: 0,
        length: 0,
        padding: 0,
        packet: [0; SYN_BYTES],
    };
    queue::join(&mut waiting, outgoing).into()
}

/// The kernel gives a connect up after some tries. Whoever waits may try for as long as it may wait,
/// and no longer: what looks like time without an answer is that.
#[inline(always)]
fn be_patient(ctx: *mut bpf_sock_ops, outgoing: &mut Outgoing) {
    let (Some(tries), Some(timeout)) = (
        options::get(ctx.cast(), TCP_SYNCNT),
        options::get(ctx.cast(), TCP_USER_TIMEOUT),
    ) else {
        // Before Linux 6.1 there is no reading of these: the kernel's own patience has to do.
        return;
    };
    outgoing.syn_retries = tries;
    outgoing.user_timeout_ms = timeout;
    options::set(ctx.cast(), TCP_SYNCNT, MAX_TCP_SYNCNT);
    if timeout == 0 || timeout > outgoing.timeout_ms {
        options::set(ctx.cast(), TCP_USER_TIMEOUT, outgoing.timeout_ms);
    }
}

/// Gives the socket back what the application has set, unless it has set something else since.
/// `retransmits` are those that do not count, because nothing was sent.
#[inline(always)]
fn be_as_before(ctx: *mut bpf_sock_ops, outgoing: &mut Outgoing, retransmits: u32) {
    let tries = outgoing.syn_retries;
    if tries == 0 {
        return;
    }
    if options::get(ctx.cast(), TCP_USER_TIMEOUT) == Some(outgoing.timeout_ms) {
        options::set(ctx.cast(), TCP_USER_TIMEOUT, outgoing.user_timeout_ms);
    }
    let allowed = tries + retransmits;
    let allowed = if allowed > MAX_TCP_SYNCNT {
        MAX_TCP_SYNCNT
    } else {
        allowed
    };
    options::set(ctx.cast(), TCP_SYNCNT, allowed);
    if retransmits == 0 {
        outgoing.syn_retries = 0;
    }
}
