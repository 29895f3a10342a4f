//! `sk_reuseport`: answers what `limiter_lookup` has brought to the daemon's socket.
//!
//! A group of one socket: the program is there to see the packet, and to have the kernel answer
//! with a RST as if nobody listened.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{bindings::sk_reuseport_md, helpers::generated::bpf_skb_load_bytes_relative};
use limiter_common::{
    event::HOOK_SK_LOOKUP,
    packet::{Handshake, Packet, Plain, Segment, read_segment},
    policy::ACTION_CLOSE,
};

use crate::{
    judge::judge,
    maps::{counters, packets, policy},
};

/// What was brought here.
pub enum Diverted {
    /// No attempt: the kernel's own answer is the right one.
    NoAttempt,
    /// For the socket itself: nobody is to know that it listens.
    Own,
    /// An attempt that is answered with a RST.
    Reset,
    /// An attempt that the daemon accepts.
    Accept,
    /// The end of an accepted attempt, if it brings the SYN cookie that the socket has sent; any
    /// other ACK is answered with a RST there, too.
    Completion,
}

/// Answers one packet.
#[inline(always)]
pub fn packet(ctx: *mut sk_reuseport_md) -> Diverted {
    let mut segment = Segment::default();
    if limiter_parse_diverted(ctx, &mut segment) == 0 {
        return Diverted::NoAttempt;
    }
    let connection = &segment.connection;
    if is_own_port(ctx, connection.local_port) {
        return Diverted::Own;
    }
    let Some(policy) = policy::in_force() else {
        return Diverted::NoAttempt;
    };
    let Some(server) = policy.limits_at(&connection.local, connection.local_port) else {
        return Diverted::NoAttempt;
    };
    match segment.handshake {
        Handshake::Syn => {}
        Handshake::Completion if server.action == ACTION_CLOSE => return Diverted::Completion,
        Handshake::Completion | Handshake::Other => return Diverted::NoAttempt,
    }
    if !judge(&segment, server, HOOK_SK_LOOKUP)
        && let Some(counters) = counters::of_zone(server.limits[0].zone)
    {
        // The limit said no a moment ago, and what was brought here is refused.
        counters.rejected();
    }
    if server.action == ACTION_CLOSE {
        Diverted::Accept
    } else {
        Diverted::Reset
    }
}

/// Whether this is the port that the socket is bound to. What is brought here is for another one.
#[inline(always)]
fn is_own_port(ctx: *mut sk_reuseport_md, port: u16) -> bool {
    // SAFETY: the kernel gives a valid context, with a socket; fields are read one by one, each in
    // its own width, as the verifier wants it.
    unsafe {
        let socket = (&raw const (*ctx).__bindgen_anon_3.sk).read_volatile();
        (&raw const (*socket).src_port).read_volatile() as u16 == port
    }
}

/// Parses the packet; 0 if it is no segment. A global function, see [`crate::charge`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_parse_diverted(ctx: *mut sk_reuseport_md, segment: *mut Segment) -> u32 {
    // SAFETY: the verifier has checked that the pointer is to a segment or null.
    let Some(segment) = (unsafe { segment.as_mut() }) else {
        return 0;
    };
    let Err(why) = read_segment(&FromNetwork(ctx), segment) else {
        return 1;
    };
    packets::not_understood(why);
    0
}

/// The packet from its IP header on; the context's own bytes begin behind it.
struct FromNetwork(*mut sk_reuseport_md);

impl Packet for FromNetwork {
    #[inline(always)]
    fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        /// include/uapi/linux/bpf.h
        const BPF_HDR_START_NET: u32 = 1;
        let mut value = MaybeUninit::<T>::uninit();
        let to: *mut c_void = value.as_mut_ptr().cast();
        // SAFETY: the helper writes all of the value or fails; T is plain.
        unsafe {
            let failed = bpf_skb_load_bytes_relative(
                self.0.cast(),
                offset as u32,
                to,
                size_of::<T>() as u32,
                BPF_HDR_START_NET,
            );
            (failed == 0).then(|| value.assume_init())
        }
    }
}
