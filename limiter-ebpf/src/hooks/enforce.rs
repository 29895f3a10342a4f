//! `cgroup_skb/ingress`: refuses handshakes at a listener.
//!
//! Sees every packet of the cgroup's sockets. Only those whose socket is in LISTEN matter: the SYN,
//! and the ACK that completes a handshake, which the kernel filters with the listener as its socket
//! (net/ipv4/tcp_ipv4.c, tcp_v4_rcv, `TCP_NEW_SYN_RECV`). Checking both keeps a burst of half-open
//! handshakes from being completed beyond the limit.

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use limiter_common::{
    admission::{Admission, Peek, Refusal, peek},
    attempt::Fingerprint,
    event::HOOK_CGROUP_SKB,
    key::{KeyFields, ZoneKey},
    packet::{self, Handshake, Plain, Segment, Unparsed, parse_ip, parse_ipv6_addresses},
    policy::{Limit, MAX_LIMITS, ServerPolicy},
};

use crate::{
    debug,
    maps::{
        attempts, counters,
        events::{self, Leave},
        policy,
        zones::zone_at,
    },
    report::{self, Verdict},
};

/// What a packet was found to be.
pub enum Packet {
    /// Its socket does not listen: an established connection, or no TCP at all.
    NotAtListener,
    /// It can neither begin nor complete a connection.
    NoHandshake,
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
    match limiter_parse(skb, &mut segment) {
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
    let Some((index, server)) = policy.limits_at(&connection.local, connection.local_port) else {
        return Packet::NotLimited;
    };
    if server.dry_run != 0 {
        return Packet::DryRun;
    }
    judge(&segment, index, server)
}

const PARSED: u32 = 0;
/// A chain of headers that nobody sends but to get past a filter. The addresses are known, and the
/// listener knows its port: judged like a SYN.
const UNREADABLE: u32 = 1;
const NO_SEGMENT: u32 = 2;

/// Parses the packet. A global function, see [`crate::charge`]: it keeps the parser off our stack.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_parse(skb: *mut __sk_buff, segment: *mut Segment) -> u32 {
    // SAFETY: the verifier has checked that the pointer is to a segment or null.
    let Some(segment) = (unsafe { segment.as_mut() }) else {
        return NO_SEGMENT;
    };
    let packet = Skb::new(skb);
    match parse_ip(&packet) {
        Ok(parsed) => {
            *segment = parsed;
            PARSED
        }
        Err(Unparsed::TooManyExtensions) => {
            let Some(connection) = parse_ipv6_addresses(&packet) else {
                return NO_SEGMENT;
            };
            segment.connection = connection;
            segment.handshake = Handshake::Syn;
            UNREADABLE
        }
        Err(Unparsed::NotTcp | Unparsed::Truncated) => NO_SEGMENT,
    }
}

#[inline(always)]
fn judge(segment: &Segment, index: u16, server: &ServerPolicy) -> Packet {
    let mut suppressed = 0;
    let word = limiter_judge(server, segment, index.into(), &mut suppressed);
    let judgement = Admission::from_word(word);
    if !judgement.is_refused {
        return Packet::WithinLimits;
    }
    let connection = &segment.connection;
    debug::refused(connection, index, judgement.connections);
    if word & TELL != 0 {
        let verdict = Verdict {
            connection,
            server: index,
            limit: &server.limits[judgement.limit],
            connections: judgement.connections,
            hook: HOOK_CGROUP_SKB,
        };
        report::refused_with_leave(&verdict, judgement.why, Leave { suppressed });
    }
    Packet::Refused
}

/// Set in the answer of [`limiter_judge`] if the refusal is to be reported. No bit of
/// [`Admission::to_word`].
const TELL: u64 = 1 << 7;

/// Looks for the first limit that says no, counts the refusal, and asks for leave to report it,
/// which comes with the number of refusals that were suppressed. A global function, see [`crate::charge`].
///
/// All of it in one, because the key's entry, once found, is needed for all of it.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_judge(
    server: *const ServerPolicy,
    segment: *const Segment,
    index: u32,
    suppressed: *mut u64,
) -> u64 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(segment), Some(suppressed)) =
        (unsafe { (server.as_ref(), segment.as_ref(), suppressed.as_mut()) })
    else {
        return 0;
    };
    for position in 0..MAX_LIMITS {
        if position >= server.limit_count as usize {
            break;
        }
        let limit = &server.limits[position];
        if limit.fields.contains(KeyFields::EMPTY) {
            continue;
        }
        let Some(zone) = zone_at(limit.zone.into()) else {
            continue;
        };
        let key = ZoneKey::new(limit.fields, &segment.connection, index as u16);
        let (why, connections, leave) = match peek(zone, &key, limit.number) {
            Peek::Room => continue,
            Peek::Full { entry, connections } => {
                let leave = is_new(segment, limit, Refusal::Full)
                    .and_then(|_| events::leave_for_entry(entry));
                (Refusal::Full, connections, leave)
            }
            Peek::Exhausted => {
                let leave = is_new(segment, limit, Refusal::Exhausted)
                    .and_then(|seed| events::leave_for_exhausted(limit.zone, &key, seed));
                (Refusal::Exhausted, 0, leave)
            }
        };
        let judgement = Admission {
            is_refused: true,
            limit: position,
            why,
            connections,
        };
        let mut word = judgement.to_word();
        if let Some(leave) = leave {
            *suppressed = leave.suppressed;
            word |= TELL;
        }
        return word;
    }
    0
}

/// Counts one refusal an attempt, however many packets it sends. The seed of this run, if this is
/// the first one that is refused.
#[inline(always)]
fn is_new(segment: &Segment, limit: &Limit, why: Refusal) -> Option<u64> {
    let counters = counters::of_zone(limit.zone)?;
    let seed = policy::in_force()?.seed;
    let by_syn = Fingerprint::of_syn(segment, seed);
    if attempts::is_known(by_syn) {
        counters.retransmitted();
        return None;
    }
    attempts::remember(by_syn);
    if segment.handshake == Handshake::Completion {
        let by_completion = Fingerprint::of_completion(segment, seed);
        if attempts::is_known(by_completion) {
            counters.retransmitted();
            return None;
        }
        attempts::remember(by_completion);
    }
    match why {
        Refusal::Full => counters.rejected(),
        Refusal::Exhausted => counters.exhausted(),
    }
    Some(seed)
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
