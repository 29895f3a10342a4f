//! Packet bytes that the program may read directly.

use limiter_common::packet::{Packet, Plain};

/// Loads what the verifier knows to be within the packet. LLVM would load byte by byte, because
/// headers have no alignment; the machine does not mind.
macro_rules! load {
    ($ty:ident, $from:expr) => {{
        let from = $from;
        let value: u64;
        // SAFETY: the caller's, who has it from `Bytes::at`.
        unsafe {
            core::arch::asm!(
                concat!("{value} = *(", stringify!($ty), " *)({from} + 0)"),
                value = out(reg) value,
                from = in(reg) from,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
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
            assert!(size_of::<T>() == 2 || size_of::<T>() % 4 == 0);
            assert!(size_of::<T>() <= size_of::<[u32; LARGEST]>());
        }
        let from = self.at::<T>(offset)?;
        let mut words = [0_u32; LARGEST];
        if size_of::<T>() == 2 {
            words[0] = load!(u16, from).into();
        } else {
            for (index, word) in words.iter_mut().enumerate() {
                if index < size_of::<T>() / 4 {
                    // SAFETY: within T.
                    *word = load!(u32, unsafe { from.cast::<u32>().add(index) });
                }
            }
        }
        // SAFETY: T is plain and not larger; this machine is little endian.
        Some(unsafe { core::mem::transmute_copy(&words) })
    }
}

/// Words of the largest header, that of IPv6.
const LARGEST: usize = 10;
