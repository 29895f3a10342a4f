//! Words between CPUs.

use limiter_common::admission::Word;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// A word as the BPF machine has it: every access is one step, and all CPUs see all steps in the
/// same order.
#[derive(Clone, Copy)]
pub struct Shared<'a>(pub &'a AtomicU64);

impl Word for Shared<'_> {
    fn load(self) -> u64 {
        // loom's loads may return old values whatever their ordering. Its exchanges never do.
        self.0.fetch_add(0, SeqCst)
    }

    fn compare_exchange(self, current: u64, new: u64) -> u64 {
        self.0
            .compare_exchange(current, new, SeqCst, SeqCst)
            .unwrap_or_else(|was| was)
    }

    fn fetch_add(self, n: u64) -> u64 {
        self.0.fetch_add(n, SeqCst)
    }
}

/// The same of 32 bits.
#[derive(Clone, Copy)]
pub struct SharedHalf<'a>(pub &'a AtomicU32);

impl Word<u32> for SharedHalf<'_> {
    fn load(self) -> u32 {
        self.0.fetch_add(0, SeqCst)
    }

    fn compare_exchange(self, current: u32, new: u32) -> u32 {
        self.0
            .compare_exchange(current, new, SeqCst, SeqCst)
            .unwrap_or_else(|was| was)
    }

    fn fetch_add(self, n: u32) -> u32 {
        self.0.fetch_add(n, SeqCst)
    }
}

impl Shared<'_> {
    /// Writes without looking.
    pub fn store(self, value: u64) {
        self.0.swap(value, SeqCst);
    }
}
