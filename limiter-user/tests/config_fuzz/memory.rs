//! What a thread allocates: the work and the memory that an input takes, in figures that are the
//! same whenever it is read.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// What was allocated while something was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How often.
    pub allocations: usize,
    /// Most bytes at a time.
    pub peak_bytes: usize,
}

/// Does it on this thread, and says what it allocated.
pub fn measured<T>(work: impl FnOnce() -> T) -> (T, Usage) {
    let before = BYTES.get();
    ALLOCATIONS.set(0);
    PEAK.set(before);
    let value = work();
    let usage = Usage {
        allocations: ALLOCATIONS.get(),
        peak_bytes: usize::try_from(PEAK.get() - before).unwrap_or_default(),
    };
    (value, usage)
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    // Below zero where a thread frees what another has allocated.
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with books.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(signed(layout.size()));
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(signed(size) - signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn grown(bytes: isize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    BYTES.set(BYTES.get() + bytes);
    PEAK.set(PEAK.get().max(BYTES.get()));
}

fn signed(bytes: usize) -> isize {
    // Nothing is larger (`Layout`).
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

#[test]
fn what_is_freed_counts_for_the_peak_only() {
    let (length, usage) = measured(|| {
        drop(vec![0_u8; 5_000]);
        vec![0_u8; 1_000].len()
    });
    let expected = Usage {
        allocations: 2,
        peak_bytes: 5_000,
    };
    assert_eq!((length, usage), (1_000, expected));
}
