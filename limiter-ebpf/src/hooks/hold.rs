//! `cgroup_skb/egress`: holds the SYNs of connects that wait for a slot of a server.
//!
//! A SYN that is dropped with a notice of congestion (`NET_XMIT_DROP`) is tried again after half a
//! second, as often as the socket may, without backing off (net/ipv4/tcp_timer.c, tcp_retransmit_timer,
//! `TCP_RESOURCE_PROBE_INTERVAL`). So whoever has been admitted goes on by itself, even if no daemon
//! sends the SYN that is kept here.

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes};
use limiter_common::{
    admission::Word,
    upstream::queue::{SYN_BYTES, Waiting},
};

use crate::{
    atomic::AtomicWord,
    clock::now_ns,
    maps::{
        outgoing,
        queue::{self, Place},
    },
};

/// What a packet was found to be.
pub enum Outgoing {
    /// Not that of a socket that waits.
    Passes,
    /// The SYN of one that waits.
    Held,
}

const _: () = assert!(SYN_BYTES < 128);

/// include/net/tcp_states.h
const TCP_SYN_SENT: u32 = 2;
/// A header of IPv4 and one of TCP. (Of "more than 0" verifiers before 6.8 do not conclude "at least 1".)
const SHORTEST: u32 = 40;

/// Looks at one packet. The socket is locked: it is sending.
#[inline(always)]
pub fn packet(skb: *mut __sk_buff) -> Outgoing {
    // SAFETY: the kernel gives a valid context; its fields are read one by one, each in its own
    // width, as the verifier wants it.
    let socket = unsafe { (&raw const (*skb).__bindgen_anon_2.sk).read_volatile() };
    if socket.is_null() {
        return Outgoing::Passes;
    }
    // SAFETY: not null.
    let (state, bound) = unsafe {
        (
            (&raw const (*socket).state).read_volatile(),
            (&raw const (*socket).bound_dev_if).read_volatile(),
        )
    };
    if state != TCP_SYN_SENT {
        return Outgoing::Passes;
    }
    // SAFETY: a socket that sends a SYN is a full one.
    let Some(outgoing) = (unsafe { outgoing::find(socket.cast()) }) else {
        return Outgoing::Passes;
    };
    if outgoing.awaited == 0 {
        return Outgoing::Passes;
    }
    if let Some((_, waiting)) = queue::find(outgoing) {
        keep(skb, waiting, bound);
    }
    // Afterwards, so that whoever admits it in between finds what to send.
    match queue::place(outgoing) {
        Place::Waits => Outgoing::Held,
        Place::Admitted => Outgoing::Passes,
    }
}

/// Keeps what is to be sent later.
#[inline(always)]
fn keep(skb: *mut __sk_buff, waiting: *mut Waiting, bound: u32) {
    // SAFETY: as above; an entry of the map, which only its owner writes: this.
    unsafe {
        let bytes = (&raw const (*skb).len).read_volatile();
        let mut bytes = if bytes > SYN_BYTES as u32 {
            SYN_BYTES as u64
        } else {
            bytes.into()
        };
        // Changes nothing, and LLVM cannot know: so it compares this very register below, whose bounds
        // the verifier then has.
        core::arch::asm!("{0} &= 127", inout(reg) bytes, options(pure, nomem, nostack));
        let bytes = bytes as u32;
        let packet = (&raw mut (*waiting).packet).cast();
        if bytes < SHORTEST || bpf_skb_load_bytes(skb.cast(), 0, packet, bytes) != 0 {
            return;
        }
        (*waiting).length = bytes;
        (*waiting).mark = (&raw const (*skb).mark).read_volatile();
        (*waiting).interface = (&raw const (*skb).ifindex).read_volatile();
        (*waiting).bound_interface = bound;
        // With a fence: an exchange, not a store.
        let held = AtomicWord::new(&raw mut (*waiting).held_ns);
        let before = held.load();
        held.compare_exchange(before, now_ns());
    }
}
