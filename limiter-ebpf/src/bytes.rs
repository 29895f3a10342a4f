//! Packet bytes that the program may read directly.

use core::mem::MaybeUninit;

use limiter_common::packet::{Packet, Plain};

/// Loads what the verifier knows to be within the packet. LLVM would load byte by byte, because
/// headers have no alignment; the machine does not mind.
macro_rules! load {
    ($ty:ident, $from:expr) => {{
        let from = $from;
        let value: u64;
        core::arch::asm!(
            concat!("{value} = *(", stringify!($ty), " *)({from} + 0)"),
            value = out(reg) value,
            from = in(reg) from,
            options(pure, readonly, nostack, preserves_flags),
        );
        value as $ty
    }};
}

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
        const {
            assert!(matches!(size_of::<T>(), 2 | 4 | 8 | 20 | 32 | 40));
        }
        let from = self.at::<T>(offset)?;
        let mut value = MaybeUninit::<T>::uninit();
        let to = value.as_mut_ptr();
        // SAFETY: as many bytes as T has, and T is plain.
        unsafe {
            match size_of::<T>() {
                2 => to.cast::<u16>().write_unaligned(load!(u16, from)),
                4 | 20 => {
                    for index in 0..size_of::<T>() / 4 {
                        let word = load!(u32, from.cast::<u32>().add(index));
                        to.cast::<u32>().add(index).write_unaligned(word);
                    }
                }
                _ => {
                    for index in 0..size_of::<T>() / 8 {
                        let word = load!(u64, from.cast::<u64>().add(index));
                        to.cast::<u64>().add(index).write_unaligned(word);
                    }
                }
            }
            Some(value.assume_init())
        }
    }
}
