//! Programs that the kernel runs for each of many objects, when a file is read
//! (Documentation/bpf/bpf_iterators.rst).

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use super::syscall::{Command, bpf};

/// BPF_TRACE_ITER of enum bpf_attach_type
const TRACE_ITER: u32 = 28;

/// The member `link_create` of union bpf_attr, for iterators.
#[repr(C)]
struct CreateLink {
    program: u32,
    target: u32,
    hook: u32,
    flags: u32,
    info: u64,
    info_bytes: u32,
    padding: u32,
}

/// The member `iter_create`.
#[repr(C)]
struct CreateIterator {
    link: u32,
    flags: u32,
}

/// An iterator over the elements of a map.
pub(super) fn over_map(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<File> {
    // union bpf_iter_link_info
    let info = map.as_raw_fd() as u32;
    let mut create = CreateLink {
        program: program.as_raw_fd() as u32,
        target: 0,
        hook: TRACE_ITER,
        flags: 0,
        info: (&raw const info) as u64,
        info_bytes: size_of_val(&info) as u32,
        padding: 0,
    };
    // SAFETY: the pointer is to as many bytes as it says; what comes back is a new descriptor.
    let link = unsafe { OwnedFd::from_raw_fd(bpf(Command::LinkCreate, &mut create)?) };
    let mut create = CreateIterator {
        link: link.as_raw_fd() as u32,
        flags: 0,
    };
    // SAFETY: no pointers; the same.
    Ok(unsafe { File::from_raw_fd(bpf(Command::IterCreate, &mut create)?) })
}

/// Runs the program for every object. What it prints is lost.
pub(super) fn drive(mut iterator: File) -> io::Result<()> {
    let mut printed = [0_u8; 4096];
    loop {
        match iterator.read(&mut printed) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // A million objects, and nothing printed: the next call goes on (kernel/bpf/bpf_iter.c,
            // MAX_ITER_OBJECTS).
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    }
}
