//! `cgroup_skb/ingress`: refuses handshakes at a listener.
//!
//! Sees every packet of the cgroup's sockets. Only those whose socket is in LISTEN matter: the SYN,
//! and the ACK that completes a handshake, which the kernel filters with the listener as its socket
//! (net/ipv4/tcp_ipv4.c, tcp_v4_rcv, `TCP_NEW_SYN_RECV`). Checking both keeps a burst of half-open
//! handshakes from being completed beyond the limit.

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use limiter_common::{
    addr::Addr,
    admission::Refusal,
    attempt::Fingerprint,
    event::HOOK_CGROUP_SKB,
    packet::{self, Handshake, Plain, Segment, Unparsed, parse_ip},
    policy::ServerPolicy,
};

use crate::{
    charge, debug,
    maps::{
        attempts, counters,
        policy::{self, Policy},
    },
    report::{self, Verdict},
};

/// What a packet was found to be.
pub enum Packet {
    /// Its socket does not listen: an established connection, or no TCP at all.
    NotAtListener,
    /// It can neither begin nor complete a connection.
    NoHandshake,
    /// No server of the policy listens there.
    NoServer,
    /// The server has no limits.
    Unlimited,
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
        return Packet::NoServer;
    };
    let mut segment = Segment::default();
    match limiter_parse(skb, &mut segment) {
        PARSED => {}
        UNREADABLE => return unreadable(policy, listener),
        _ => return Packet::NoHandshake,
    }
    if segment.handshake == Handshake::Other {
        return Packet::NoHandshake;
    }
    let connection = &segment.connection;
    let Some(index) = policy.server_at(&connection.local, connection.local_port) else {
        return Packet::NoServer;
    };
    let Some(server) = policy.server(index) else {
        return Packet::NoServer;
    };
    if server.limit_count == 0 {
        return Packet::Unlimited;
    }
    if server.dry_run != 0 {
        return Packet::DryRun;
    }
    judge(policy, &segment, index, server)
}

const PARSED: u32 = 0;
const UNREADABLE: u32 = 1;
const NO_SEGMENT: u32 = 2;

/// Parses the packet. A global function, see [`charge`]: it keeps the parser off our stack.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_parse(skb: *mut __sk_buff, segment: *mut Segment) -> u32 {
    // SAFETY: the verifier has checked that the pointer is to a segment or null.
    let Some(segment) = (unsafe { segment.as_mut() }) else {
        return NO_SEGMENT;
    };
    match parse_ip(&Skb::new(skb)) {
        Ok(parsed) => {
            *segment = parsed;
            PARSED
        }
        Err(Unparsed::TooManyExtensions) => UNREADABLE,
        Err(Unparsed::NotTcp | Unparsed::Truncated) => NO_SEGMENT,
    }
}

/// A chain of headers that nobody sends but to get past a filter: no further than this at a port
/// that is limited.
#[inline(always)]
fn unreadable(policy: Policy, listener: *mut bpf_sock) -> Packet {
    // SAFETY: the caller has checked for null.
    let port = unsafe { (&raw const (*listener).src_port).read_volatile() };
    match policy.server_at(&Addr::UNSPECIFIED, port as u16) {
        Some(_) => Packet::Refused,
        None => Packet::NoServer,
    }
}

#[inline(always)]
fn judge(policy: Policy, segment: &Segment, index: u16, server: &ServerPolicy) -> Packet {
    let judgement = charge::judge(index, server, &segment.connection);
    if !judgement.is_refused {
        return Packet::WithinLimits;
    }
    let verdict = Verdict {
        connection: &segment.connection,
        server: index,
        limit: &server.limits[judgement.limit],
        connections: judgement.connections,
        hook: HOOK_CGROUP_SKB,
    };
    debug::refused(&segment.connection, index, judgement.connections);
    refuse(&verdict, segment, policy.seed, judgement.why);
    Packet::Refused
}

/// Counts one refusal an attempt, however many packets it sends.
#[inline(always)]
fn refuse(verdict: &Verdict<'_>, segment: &Segment, seed: u64, why: Refusal) {
    let Some(counters) = counters::of_zone(verdict.limit.zone) else {
        return;
    };
    let by_syn = Fingerprint::of_syn(segment, seed);
    if attempts::is_known(by_syn) {
        counters.retransmitted();
        return;
    }
    attempts::remember(by_syn);
    if segment.handshake == Handshake::Completion {
        let by_completion = Fingerprint::of_completion(segment, seed);
        if attempts::is_known(by_completion) {
            counters.retransmitted();
            return;
        }
        attempts::remember(by_completion);
    }
    match why {
        Refusal::Full => counters.rejected(),
        Refusal::Exhausted => counters.exhausted(),
    }
    report::refused(verdict, why, false);
}

/// The linear part of the packet, from its IP header on. The kernel has pulled the IP and TCP
/// headers into it before it looked for the socket (net/ipv4/tcp_ipv4.c, tcp_v4_rcv).
struct Skb {
    start: usize,
    end: usize,
}

impl Skb {
    #[inline(always)]
    fn new(skb: *mut __sk_buff) -> Self {
        // SAFETY: the kernel gives a valid context.
        unsafe {
            Self {
                start: (&raw const (*skb).data).read_volatile() as usize,
                end: (&raw const (*skb).data_end).read_volatile() as usize,
            }
        }
    }
}

impl packet::Packet for Skb {
    #[inline(always)]
    fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        let from = self.start + offset;
        if from + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: within the packet, and T is plain.
        Some(unsafe { (from as *const T).read_unaligned() })
    }
}
