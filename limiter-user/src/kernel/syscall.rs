//! bpf(2), for what aya has no function for.

use std::{
    ffi::c_long,
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// enum bpf_cmd, include/uapi/linux/bpf.h
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    MapCreate = 0,
    ObjectGetInfoByFd = 15,
    BtfGetFdById = 19,
    MapUpdateBatch = 26,
    LinkCreate = 28,
}

/// The system call. What it returns is not negative.
///
/// # Safety
///
/// `attributes` are what the command takes, and the pointers in it are good.
pub(super) unsafe fn bpf<T>(command: Command, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the kernel reads as many bytes as the value has; the rest by contract.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as c_long,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as i32)
}

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

/// Puts maps into places of an array of maps, and waits once until every program that is running
/// now has ended (kernel/bpf/syscall.c, bpf_map_do_batch, maybe_wait_bpf_programs). Fails with
/// ENOTSUPP (524) on kernels before about Linux 5.19.
pub(super) fn put_maps(outer: BorrowedFd<'_>, maps: &[(u32, BorrowedFd<'_>)]) -> io::Result<()> {
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
