//! `cgroup_skb/ingress`: refuses handshakes at a listener.
//!
//! Sees every packet of the cgroup's sockets. Only those whose socket is in LISTEN matter: the SYN,
//! and the ACK that completes a handshake, which the kernel filters with the listener as its socket
//! (net/ipv4/tcp_ipv4.c, tcp_v4_rcv, `TCP_NEW_SYN_RECV`). Checking both keeps a burst of half-open
//! handshakes from being completed beyond the limit.

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use limiter_common::{
    event::HOOK_CGROUP_SKB,
    packet::{Handshake, Segment, Unparsed, parse_ipv6_addresses, read_segment},
};

use crate::{
    bytes::Bytes,
    judge::judge_inline,
    maps::{packets, policy, waiters},
};

/// What a packet was found to be.
pub enum Packet {
    /// Its socket does not listen: an established connection, or no TCP at all.
    NotAtListener,
    /// It can neither begin nor complete a connection.
    NoHandshake,
    /// It was refused, and is accepted by the daemon in place of the application.
    Waits,
    /// No server of the policy that has limits listens there.
    NotLimited,
    /// No limit says no.
    WithinLimits,
    /// Whatever the limits say, it is decided, counted and reported at establishment.
    DryRun,
    /// A limit says no.
    Refused,
}

/// include/net/tcp_states.h
const TCP_LISTEN: u32 = 10;

/// Judges one packet.
#[inline(always)]
pub fn packet(skb: *mut __sk_buff) -> Packet {
    // SAFETY: the kernel gives a valid context; its fields are read one by one, each in its own
    // width, as the verifier wants it.
    let socket = unsafe { (&raw const (*skb).__bindgen_anon_2.sk).read_volatile() };
    if socket.is_null() {
        return Packet::NotAtListener;
    }
    // SAFETY: not null.
    if unsafe { (&raw const (*socket).state).read_volatile() } != TCP_LISTEN {
        return Packet::NotAtListener;
    }
    at_listener(skb, socket)
}

#[inline(always)]
fn at_listener(skb: *mut __sk_buff, listener: *mut bpf_sock) -> Packet {
    let Some(policy) = policy::in_force() else {
        return Packet::NotLimited;
    };
    let mut segment = Segment::default();
    match parse(skb, &mut segment) {
        PARSED => {}
        UNREADABLE => {
            // SAFETY: the caller has checked for null.
            let port = unsafe { (&raw const (*listener).src_port).read_volatile() };
            segment.connection.local_port = port as u16;
        }
        _ => return Packet::NoHandshake,
    }
    if segment.handshake == Handshake::Other {
        return Packet::NoHandshake;
    }
    let connection = &segment.connection;
    if is_target(listener, connection.local_port) {
        return Packet::Waits;
    }
    let Some(server) = policy.limits_at(&connection.local, connection.local_port) else {
        return Packet::NotLimited;
    };
    if server.dry_run != 0 {
        return Packet::DryRun;
    }
    if judge_inline(policy, &segment, server, HOOK_CGROUP_SKB) {
        Packet::Refused
    } else {
        Packet::WithinLimits
    }
}

/// Whether refused attempts are brought to this socket: then it listens on another port than the
/// one they are for, which is quick to see.
#[inline(always)]
fn is_target(listener: *mut bpf_sock, port: u16) -> bool {
    // SAFETY: the caller has checked for null.
    unsafe {
        (&raw const (*listener).src_port).read_volatile() as u16 != port
            && waiters::find(listener.cast()).is_some()
    }
}

const PARSED: u32 = 0;
/// A chain of headers that nobody sends but to get past a filter. The addresses are known, and the
/// listener knows its port: judged like a SYN.
const UNREADABLE: u32 = 1;
const NO_SEGMENT: u32 = 2;

/// Parses the packet. No function of its own, and the verdict is none either: at a listener, each
/// call is a tenth of what a SYN costs that passes.
#[inline(always)]
fn parse(skb: *mut __sk_buff, segment: &mut Segment) -> u32 {
    // The kernel has pulled the IP and TCP headers into the linear part before it looked for the
    // socket (net/ipv4/tcp_ipv4.c, tcp_v4_rcv).
    // SAFETY: the kernel gives a valid context.
    let packet = unsafe {
        Bytes::new(
            (&raw const (*skb).data).read_volatile(),
            (&raw const (*skb).data_end).read_volatile(),
        )
    };
    let Err(why) = read_segment(&packet, segment) else {
        return PARSED;
    };
    packets::not_understood(why);
    if !matches!(why, Unparsed::TooManyExtensions) {
        return NO_SEGMENT;
    }
    let Some(connection) = parse_ipv6_addresses(&packet) else {
        return NO_SEGMENT;
    };
    segment.connection = connection;
    segment.handshake = Handshake::Syn;
    UNREADABLE
}
