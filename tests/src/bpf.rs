//! The bpf(2) system call, for what the tests ask and do behind the limiter's back. Layouts and
//! numbers are those of include/uapi/linux/bpf.h.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// `enum bpf_cmd`
#[derive(Clone, Copy, Debug)]
#[repr(i64)]
pub(crate) enum Command {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    MapNextKey = 4,
    ProgramLoad = 5,
    Pin = 6,
    Get = 7,
    TestRun = 10,
    ProgramById = 13,
    MapById = 14,
    Info = 15,
    Query = 16,
    LinkCreate = 28,
    EnableStats = 32,
    LinkDetach = 34,
}

/// Has the kernel verify and load a program. It is gone with its last user.
///
/// `kind` is from `enum bpf_prog_type`, `attach_type` from `enum bpf_attach_type`, `name` has 15
/// bytes at the most.
///
/// # Errors
/// As the kernel says.
pub fn load(kind: u32, attach_type: u32, name: &str, instructions: &[u64]) -> io::Result<OwnedFd> {
    const LICENSE: &std::ffi::CStr = c"MIT";
    let mut attributes = Load {
        kind,
        instruction_count: count(instructions.len()),
        instructions: instructions.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        attach_type,
        ..Load::default()
    };
    attributes.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: both pointers are valid for the lengths that are passed, and nothing is written.
    unsafe { open(Command::ProgramLoad, &mut attributes) }
}

/// A program that is attached until this is dropped.
#[derive(Debug)]
pub struct Link(OwnedFd);

impl Link {
    /// Attaches a program to `target`: the [`number`] of a descriptor, or the index of an
    /// interface.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn new(program: &impl AsFd, target: u32, attach_type: u32, flags: u32) -> io::Result<Self> {
        let mut attributes = [number(program), target, attach_type, flags];
        // SAFETY: no pointers.
        unsafe { open(Command::LinkCreate, &mut attributes) }.map(Self)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Detaches it: closing the descriptor is not enough while a process that another test is about to
/// start has a copy of it, between its fork(2) and its execve(2).
impl Drop for Link {
    fn drop(&mut self) {
        // SAFETY: no pointers.
        let detached = unsafe { call(Command::LinkDetach, &mut number(self)) };
        // A link whose interface or cgroup is gone has nothing left to detach.
        if let Err(e) = detached
            && !std::thread::panicking()
        {
            panic!("detach a program: {e}");
        }
    }
}

/// An array of one program, for tail calls. It is empty when its descriptor is closed
/// (kernel/bpf/arraymap.c, prog_array_map_clear).
///
/// # Errors
/// As the kernel says.
pub fn program_array(program: &impl AsFd) -> io::Result<OwnedFd> {
    const PROGRAM_ARRAY: u32 = 3;
    let array = map(PROGRAM_ARRAY, size_of::<u32>())?;
    let (index, value) = (0_u32, number(program));
    let mut update = Update {
        map: number(&array),
        key: std::ptr::from_ref(&index) as u64,
        value: std::ptr::from_ref(&value) as u64,
        ..Update::default()
    };
    // SAFETY: key and value live and have the sizes that the map was made with.
    unsafe { call(Command::MapUpdate, &mut update) }?;
    Ok(array)
}

/// A 64-bit word for programs to share, 0.
///
/// # Errors
/// As the kernel says.
pub fn word() -> io::Result<OwnedFd> {
    const ARRAY: u32 = 2;
    map(ARRAY, size_of::<u64>())
}

/// A map of one value, with an index as its key.
fn map(kind: u32, value_bytes: usize) -> io::Result<OwnedFd> {
    let (key_bytes, entries) = (count(size_of::<u32>()), 1);
    let mut attributes = [kind, key_bytes, count(value_bytes), entries, 0];
    // SAFETY: no pointers.
    unsafe { open(Command::MapCreate, &mut attributes) }
}

/// Has the kernel measure every run of every program until the descriptor is closed.
///
/// # Errors
/// As the kernel says.
pub fn enable_stats() -> io::Result<OwnedFd> {
    const RUN_TIME: u32 = 0;
    // SAFETY: no pointers.
    unsafe { open(Command::EnableStats, &mut { RUN_TIME }) }
}

/// Makes the call; what it returns is not negative.
///
/// # Safety
/// `attributes` are those of the command, all zero behind what is set, and every pointer in them is
/// valid for what the command does with it.
pub(crate) unsafe fn call<T>(command: Command, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the kernel accesses as many bytes as the value has; the rest is the caller's promise.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::try_from(result).expect("a descriptor or zero"))
}

/// Makes a call that returns a new descriptor.
///
/// # Safety
/// As with [`call`].
pub(crate) unsafe fn open<T>(command: Command, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise; the descriptor is new and ours.
    unsafe { Ok(OwnedFd::from_raw_fd(call(command, attributes)?)) }
}

/// A descriptor as it stands in the attributes, for instance as the target of [`Link::new`].
///
/// # Panics
/// Never: an open descriptor is not negative.
pub fn number(descriptor: &impl AsFd) -> u32 {
    u32::try_from(descriptor.as_fd().as_raw_fd()).expect("an open descriptor")
}

/// A length as it stands in the attributes.
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).expect("small")
}

/// The part for BPF_MAP_UPDATE_ELEM.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Update {
    pub(crate) map: u32,
    pub(crate) padding: u32,
    pub(crate) key: u64,
    pub(crate) value: u64,
    pub(crate) flags: u64,
}

/// The part for BPF_PROG_LOAD.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    /// `log_level`, `log_size`, `log_buf`
    log: [u32; 4],
    /// `kern_version`, `prog_flags`
    flags: [u32; 2],
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}
