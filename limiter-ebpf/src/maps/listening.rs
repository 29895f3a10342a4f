//! Where sockets of the attached cgroups listen, and how the daemon learns of new ones.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{HashMap, RingBuf},
    macros::btf_map,
};
use limiter_common::{
    addr::Addr,
    policy::{Listening, MAX_LISTENING},
};

#[btf_map]
static LISTENING: HashMap<Listening, u32, MAX_LISTENING, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

#[btf_map]
static NEW_LISTENERS: RingBuf<u32, 4096> = RingBuf::new();

/// Whether a socket of the attached cgroups listens there.
#[inline(always)]
pub fn is_ours(local: &Addr, port: u16) -> bool {
    for addr in [*local, local.unspecified(), Addr::UNSPECIFIED] {
        let listening = Listening {
            addr,
            port: port.into(),
            padding: 0,
        };
        // SAFETY: nothing of the value is read.
        if unsafe { LISTENING.get(listening) }.is_some() {
            return true;
        }
    }
    false
}

/// Tells the daemon that a socket has begun to listen. If the ring is full, it knows already.
#[inline(always)]
pub fn is_new(port: u16) {
    let _ = NEW_LISTENERS.output(u32::from(port), 0);
}
