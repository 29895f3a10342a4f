//! Where sockets listen on ports of the policy, and how the daemon learns of new ones.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{HashMap, RingBuf},
    macros::btf_map,
};
use limiter_common::{
    addr::Addr,
    policy::{LISTENING_LIMITED, Listening, MAX_LISTENING},
};

#[btf_map]
static LISTENING: HashMap<Listening, u32, MAX_LISTENING, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

#[btf_map]
static NEW_LISTENERS: RingBuf<u32, 4096> = RingBuf::new();

/// Whether the socket that listens there, in the network namespace with this target, is one of the
/// attached cgroups.
#[inline(always)]
pub fn is_limited(local: &Addr, port: u16, target_port: u32) -> bool {
    // The kernel prefers the one with the very address (net/ipv4/inet_hashtables.c,
    // __inet_lookup_listener).
    for addr in [*local, local.unspecified(), Addr::UNSPECIFIED] {
        let listening = Listening {
            addr,
            port: port.into(),
            target_port,
        };
        // SAFETY: an aligned word of a map value.
        if let Some(who) = unsafe { LISTENING.get(listening) } {
            return *who == LISTENING_LIMITED;
        }
    }
    false
}

/// Tells the daemon that a socket has begun to listen. If the ring is full, it knows already.
#[inline(always)]
pub fn is_new(port: u16) {
    let _ = NEW_LISTENERS.output(u32::from(port), 0);
}
