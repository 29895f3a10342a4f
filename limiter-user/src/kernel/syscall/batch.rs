//! Many elements of a map at once.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use super::{Command, bpf};

/// The member `batch` of union bpf_attr.
#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Reads the first `count` values of an array of 32-bit words, all at once.
pub(in crate::kernel) fn read_words(map: BorrowedFd<'_>, count: u32) -> io::Result<Vec<u32>> {
    let (mut keys, mut values) = (vec![0_u32; count as usize], vec![0_u32; count as usize]);
    let mut next = 0_u32;
    let mut batch = Batch {
        in_batch: 0,
        out_batch: (&raw mut next) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count,
        map_fd: map.as_raw_fd() as u32,
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: room for as many keys and values of four bytes as it says.
    match unsafe { bpf(Command::MapLookupBatch, &mut batch) } {
        // There are no more than these.
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
        _ => {}
    }
    let mut words = vec![0; count as usize];
    for (key, value) in keys.iter().zip(&values).take(batch.count as usize) {
        if let Some(word) = words.get_mut(*key as usize) {
            *word = *value;
        }
    }
    Ok(words)
}

/// How a part of a hash map ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) enum Part {
    /// The next one begins here: the index of a bucket.
    Until(u32),
    /// There are no more elements.
    Last,
    /// A bucket has more elements than there is room for; nothing was read.
    TooSmall,
}

/// Reads elements of a hash map, from the bucket at index `from` on, as many as there is room for:
/// what the vectors held before is gone. Each bucket is read under its lock, and whole
/// (kernel/bpf/hashtab.c, __htab_map_lookup_and_delete_batch). In LRU maps nothing counts as used.
///
/// # Safety
///
/// `K` and `V` have the size of the map's keys and values, and every bit pattern is a value of them.
pub(in crate::kernel) unsafe fn read_part<K: Copy, V: Copy>(
    map: BorrowedFd<'_>,
    from: Option<u32>,
    keys: &mut Vec<K>,
    values: &mut Vec<V>,
) -> io::Result<Part> {
    keys.clear();
    values.clear();
    let mut next = 0_u32;
    let room = keys.capacity().min(values.capacity());
    let mut batch = Batch {
        in_batch: from
            .as_ref()
            .map_or(0, |from| std::ptr::from_ref(from) as u64),
        out_batch: (&raw mut next) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: u32::try_from(room).unwrap_or(u32::MAX),
        map_fd: map.as_raw_fd() as u32,
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: room for as many keys and values as it says; the rest by contract.
    let part = match unsafe { bpf(Command::MapLookupBatch, &mut batch) } {
        Ok(_) => Part::Until(next),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT) => Part::Last,
            Some(libc::ENOSPC) => return Ok(Part::TooSmall),
            _ => return Err(error),
        },
    };
    let read = (batch.count as usize).min(room);
    // SAFETY: the kernel has written so many.
    unsafe {
        keys.set_len(read);
        values.set_len(read);
    }
    Ok(part)
}

/// Puts maps into places of an array of maps, and waits once until every program that is running
/// now has ended (kernel/bpf/syscall.c, bpf_map_do_batch, maybe_wait_bpf_programs). Fails with
/// ENOTSUPP (524) on kernels before about Linux 5.19.
pub(in crate::kernel) fn put_maps(
    outer: BorrowedFd<'_>,
    maps: &[(u32, BorrowedFd<'_>)],
) -> io::Result<()> {
    let keys: Vec<u32> = maps.iter().map(|(place, _)| *place).collect();
    let values: Vec<i32> = maps.iter().map(|(_, map)| map.as_raw_fd()).collect();
    let mut batch = Batch {
        in_batch: 0,
        out_batch: 0,
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: maps.len() as u32,
        map_fd: outer.as_raw_fd() as u32,
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: as many keys and values of four bytes as it says.
    unsafe { bpf(Command::MapUpdateBatch, &mut batch) }.map(drop)
}
