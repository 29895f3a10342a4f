//! Atomic operations.
//!
//! `core::sync::atomic` has no read-modify-write operations on this target, the intrinsics have
//! (BPF_ATOMIC with BPF_FETCH and BPF_CMPXCHG, Linux 5.12). Operations whose result is used are
//! sequentially consistent: LLVM drops the fetch from a relaxed one.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

use limiter_common::admission::Word;

/// A word in a map value, of 64 or 32 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AtomicWord<N = u64>(*mut N);

impl<N> AtomicWord<N> {
    /// # Safety
    ///
    /// `word` points to an aligned word in a map value, and nobody accesses it other than
    /// atomically while the program runs.
    #[inline(always)]
    pub const unsafe fn new(word: *mut N) -> Self {
        Self(word)
    }
}

impl AtomicWord {
    /// Adds without reading back.
    #[inline(always)]
    pub fn add(self, n: u64) {
        // SAFETY: see `new`.
        unsafe { atomic_xadd::<_, _, { AtomicOrdering::Relaxed }>(self.0, n) };
    }
}

macro_rules! words {
    ($($number:ty)*) => {
        $(
            impl Word<$number> for AtomicWord<$number> {
                #[inline(always)]
                fn load(self) -> $number {
                    // SAFETY: see `new`. An aligned load is one instruction.
                    unsafe { self.0.read_volatile() }
                }

                #[inline(always)]
                fn compare_exchange(self, current: $number, new: $number) -> $number {
                    // SAFETY: see `new`.
                    unsafe {
                        atomic_cxchg::<
                            _,
                            { AtomicOrdering::SeqCst },
                            { AtomicOrdering::SeqCst },
                        >(self.0, current, new)
                        .0
                    }
                }

                #[inline(always)]
                fn fetch_add(self, n: $number) -> $number {
                    // SAFETY: see `new`.
                    unsafe { atomic_xadd::<_, _, { AtomicOrdering::SeqCst }>(self.0, n) }
                }
            }
        )*
    };
}

words! { u64 u32 }
