//! `xdp`: refuses attempts on an interface, before the network stack sees them.
//!
//! An accelerator, never the authority: it looks at SYNs only, and refuses only what a hook at a
//! listener has refused for the same local address and port a moment ago
//! ([`limiter_common::attempt::Endpoint`]). Whatever it lets pass is judged there.

use aya_ebpf::{bindings::xdp_md, helpers::bpf_xdp_adjust_tail};
use limiter_common::{
    packet::{
        Handshake, Packet as _, Segment, Unparsed, Version, find_in_frame,
        reset::{ResetV4, ResetV6, reset_v4, reset_v6},
    },
    policy::ACTION_RESET,
};

use crate::{
    bytes::Bytes,
    judge::judge_early,
    maps::{interfaces, packets, policy},
};

/// What a frame was found to be.
pub enum Early {
    /// No whole segment that we understand.
    NotUnderstood,
    /// It does not begin a connection, or is for everybody on the segment.
    NoAttempt,
    /// No server of the policy that has limits listens there.
    NotLimited,
    /// Whatever the limits say, it is decided, counted and reported at establishment.
    DryRun,
    /// No limit says no, or it is for the hooks at the listener to say it.
    WithinLimits,
    /// A limit says no.
    Refused,
    /// A limit says no, and the frame has become the answer.
    Answered,
}

/// Judges one frame.
#[inline(always)]
pub fn frame(ctx: *mut xdp_md) -> Early {
    match read(ctx) {
        Ok(early) => early,
        Err(why) => {
            packets::not_understood(why);
            Early::NotUnderstood
        }
    }
}

/// Most frames are data of established connections: no more is read of them than that.
#[inline(always)]
fn read(ctx: *mut xdp_md) -> Result<Early, Unparsed> {
    let bytes = bytes(ctx);
    let headers = find_in_frame(&bytes)?;
    match headers.handshake(&bytes) {
        Some(Handshake::Syn) => {}
        Some(Handshake::Completion | Handshake::Other) => return Ok(Early::NoAttempt),
        None => return Err(Unparsed::Truncated),
    }
    if is_for_a_group(&bytes) {
        return Ok(Early::NoAttempt);
    }
    match headers.segment(&bytes) {
        Some(segment) => Ok(attempt(ctx, &segment)),
        None => Err(Unparsed::Truncated),
    }
}

/// Whether the frame is not for us alone (IEEE 802.3 §3.2.3). The kernel throws such segments away
/// (net/ipv4/tcp_ipv4.c, tcp_v4_rcv, `PACKET_HOST`).
#[inline(always)]
fn is_for_a_group(bytes: &Bytes) -> bool {
    let first: Option<[u8; 2]> = bytes.read(0);
    first.is_some_and(|[first, _]| first & 1 != 0)
}

#[inline(always)]
fn attempt(ctx: *mut xdp_md, segment: &Segment) -> Early {
    let Some(policy) = policy::in_force() else {
        return Early::NotLimited;
    };
    let connection = &segment.connection;
    let Some(server) = policy.limits_at(&connection.local, connection.local_port) else {
        return Early::NotLimited;
    };
    if server.dry_run != 0 {
        return Early::DryRun;
    }
    let resets = server.action == ACTION_RESET;
    if resets && !interfaces::can_transmit(interface(ctx)) {
        // The network stack can answer.
        return Early::WithinLimits;
    }
    if !judge_early(policy, segment, server) {
        return Early::WithinLimits;
    }
    if resets && limiter_answer(ctx) != 0 {
        return Early::Answered;
    }
    Early::Refused
}

/// The one that the frame came from.
#[inline(always)]
fn interface(ctx: *mut xdp_md) -> u32 {
    // SAFETY: the kernel gives a valid context.
    unsafe { (&raw const (*ctx).ingress_ifindex).read_volatile() }
}

/// Makes the frame a RST to its sender; 0 if it contradicts itself: nobody waits for an answer to
/// that. VLAN tags stay as they are. A global function, see [`crate::charge`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_answer(ctx: *mut xdp_md) -> u32 {
    answer(ctx).is_some().into()
}

#[inline(always)]
fn answer(ctx: *mut xdp_md) -> Option<()> {
    let bytes = bytes(ctx);
    let headers = find_in_frame(&bytes).ok()?;
    let segment = headers.segment(&bytes)?;
    let length = headers.sequence_length(&bytes)?;
    let ethernet = bytes.at::<[[u8; 6]; 2]>(0)?;
    // SAFETY: within the frame; bytes.
    unsafe {
        let [destination, source] = ethernet.read();
        ethernet.write([source, destination]);
    }
    let size = match headers.version {
        Version::V4 => {
            let packet = bytes.at::<ResetV4>(headers.network)?;
            // SAFETY: as above.
            unsafe { packet.write(reset_v4(&segment, length)) };
            size_of::<ResetV4>()
        }
        Version::V6 => {
            let packet = bytes.at::<ResetV6>(headers.network)?;
            // SAFETY: as above.
            unsafe { packet.write(reset_v6(&segment, length)) };
            size_of::<ResetV6>()
        }
    };
    let surplus = bytes.len() as i32 - (headers.network + size) as i32;
    // SAFETY: the kernel gives a valid context; the bytes are not used any more.
    (unsafe { bpf_xdp_adjust_tail(ctx, -surplus) } == 0).then_some(())
}

#[inline(always)]
fn bytes(ctx: *mut xdp_md) -> Bytes {
    // SAFETY: the kernel gives a valid context.
    unsafe {
        Bytes::new(
            (&raw const (*ctx).data).read_volatile(),
            (&raw const (*ctx).data_end).read_volatile(),
        )
    }
}
