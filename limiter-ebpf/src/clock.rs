//! The kernel's clocks.

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns};

/// Ticks (jiffies) since some moment at boot. Read from memory, without a call
/// (kernel/bpf/verifier.c, BPF_FUNC_jiffies64): enough for budgets and epochs.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: no arguments, no memory.
    unsafe { bpf_jiffies64() }
}

/// `CLOCK_MONOTONIC`, ns.
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: no arguments, no memory.
    unsafe { bpf_ktime_get_ns() }
}
