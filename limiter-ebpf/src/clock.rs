//! The kernel's clock in ticks (jiffies): read from memory, without a call
//! (kernel/bpf/verifier.c, BPF_FUNC_jiffies64). Enough for budgets and epochs.

use aya_ebpf::helpers::generated::bpf_jiffies64;

/// Ticks since some moment at boot.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: no arguments, no memory.
    unsafe { bpf_jiffies64() }
}
