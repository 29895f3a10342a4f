//! Per-CPU counters of packets that were not understood.
//!
//! Plain increments: they are counted in softirq context, which nothing on the same CPU interrupts
//! that counts here, too.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use limiter_common::{counters::PacketCounters, packet::Unparsed};

#[btf_map]
static PACKET_COUNTERS: PerCpuArray<PacketCounters, 1> = PerCpuArray::new();

/// Counts a packet that is let pass.
#[inline(always)]
pub fn not_understood(why: Unparsed) {
    let Some(counters) = PACKET_COUNTERS.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a map value of this CPU, see the module.
    unsafe {
        let counter = match why {
            Unparsed::NotIp => &raw mut (*counters).not_ip,
            Unparsed::NotTcp => &raw mut (*counters).not_tcp,
            Unparsed::Fragment => &raw mut (*counters).fragment,
            Unparsed::Truncated => &raw mut (*counters).truncated,
            Unparsed::TooManyTags => &raw mut (*counters).too_many_tags,
            Unparsed::TooManyExtensions => &raw mut (*counters).too_many_extensions,
        };
        *counter += 1;
    }
}
