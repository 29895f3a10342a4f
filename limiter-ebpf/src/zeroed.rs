//! Values of zeros.
//!
//! For this target LLVM makes a call to memset of any run of zeros, and memset goes byte by byte.

use core::mem::MaybeUninit;

use limiter_common::{entry::ZoneEntry, packet::Segment};

/// Types of 32-bit words for which zero is a value.
///
/// # Safety
///
/// Implement it for such types only.
pub unsafe trait Zero {}

// SAFETY: `repr(C)`, integers.
unsafe impl Zero for ZoneEntry {}
// SAFETY: `repr(C)`, integers and an enum with a variant of 0.
unsafe impl Zero for Segment {}

/// Fills the place with zeros, word by word, where it is: a value that moves is filled anew, by
/// memset.
#[inline(always)]
pub fn zeroed<T: Zero>(place: &mut MaybeUninit<T>) -> &mut T {
    let words = place.as_mut_ptr().cast::<u32>();
    for word in 0..size_of::<T>() / size_of::<u32>() {
        // SAFETY: within the place. Volatile, so that it stays a store.
        unsafe { words.add(word).write_volatile(0) };
    }
    // SAFETY: the type consists of words, all of which are written, and zero is a value of it.
    unsafe { place.assume_init_mut() }
}
