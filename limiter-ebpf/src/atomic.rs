//! Atomic operations.
//!
//! `core::sync::atomic` has no read-modify-write operations on this target, the intrinsics have
//! (BPF_ATOMIC with BPF_FETCH and BPF_CMPXCHG, Linux 5.12). Operations whose result is used are
//! sequentially consistent: LLVM drops the fetch from a relaxed one.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

use limiter_common::admission::Word;

/// A 64-bit word in a map value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AtomicWord(*mut u64);

impl AtomicWord {
    /// # Safety
    ///
    /// `word` points to an aligned word in a map value, and nobody accesses it other than
    /// atomically while the program runs.
    #[inline(always)]
    pub const unsafe fn new(word: *mut u64) -> Self {
        Self(word)
    }

    /// Adds without reading back.
    #[inline(always)]
    pub fn add(self, n: u64) {
        // SAFETY: see `new`.
        unsafe { atomic_xadd::<_, _, { AtomicOrdering::Relaxed }>(self.0, n) };
    }
}

impl Word for AtomicWord {
    #[inline(always)]
    fn load(self) -> u64 {
        // SAFETY: see `new`. An aligned 64-bit load is one instruction.
        unsafe { self.0.read_volatile() }
    }

    #[inline(always)]
    fn compare_exchange(self, current: u64, new: u64) -> u64 {
        // SAFETY: see `new`.
        unsafe {
            atomic_cxchg::<_, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                self.0, current, new,
            )
            .0
        }
    }

    #[inline(always)]
    fn fetch_add(self, n: u64) -> u64 {
        // SAFETY: see `new`.
        unsafe { atomic_xadd::<_, _, { AtomicOrdering::SeqCst }>(self.0, n) }
    }
}
