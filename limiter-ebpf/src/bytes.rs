//! Packet bytes that the program may read directly.

use limiter_common::packet::{Packet, Plain};

/// From the start to the end that the context gives.
pub struct Bytes {
    start: usize,
    end: usize,
}

impl Bytes {
    /// # Safety
    ///
    /// Both are fields of the program's context.
    #[inline(always)]
    pub const unsafe fn new(data: u32, data_end: u32) -> Self {
        Self {
            start: data as usize,
            end: data_end as usize,
        }
    }

    /// How many there are.
    #[inline(always)]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Where a `T` has room at `offset`; `None` if the packet ends before.
    #[inline(always)]
    pub fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let from = self.start + offset;
        if from + size_of::<T>() > self.end {
            return None;
        }
        Some(from as *mut T)
    }
}

impl Packet for Bytes {
    #[inline(always)]
    fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        // SAFETY: within the packet, and T is plain.
        self.at::<T>(offset)
            .map(|from| unsafe { from.read_unaligned() })
    }
}
