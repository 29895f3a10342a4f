//! bpf(2), for what aya has no function for.

use std::{
    ffi::c_long,
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

mod batch;

pub(super) use self::batch::{Part, put_maps, read_part, read_words};

/// enum bpf_cmd, include/uapi/linux/bpf.h
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    ObjectPin = 6,
    ObjectGet = 7,
    ProgTestRun = 10,
    ObjectGetInfoByFd = 15,
    BtfGetFdById = 19,
    MapLookupBatch = 24,
    MapUpdateBatch = 26,
    LinkCreate = 28,
    LinkUpdate = 29,
    IterCreate = 33,
    LinkDetach = 34,
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

/// The member `info` of union bpf_attr.
#[repr(C)]
struct GetInfo {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// What the kernel tells of an object.
///
/// # Safety
///
/// `T` is the struct that the kernel fills for objects of this kind, or its first members: integers,
/// without implicit padding.
pub(super) unsafe fn info<T: Default>(object: BorrowedFd<'_>) -> io::Result<T> {
    let mut info = T::default();
    let mut get_info = GetInfo {
        bpf_fd: object.as_raw_fd() as u32,
        info_len: size_of::<T>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the kernel writes `info_len` bytes to `info` at the most.
    unsafe { bpf(Command::ObjectGetInfoByFd, &mut get_info) }?;
    Ok(info)
}

/// struct bpf_map_info
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MapInfo {
    pub(super) map_type: u32,
    pub(super) id: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) map_flags: u32,
    pub(super) name: [u8; 16],
    pub(super) ifindex: u32,
    pub(super) btf_vmlinux_value_type_id: u32,
    pub(super) netns_dev: u64,
    pub(super) netns_ino: u64,
    pub(super) btf_id: u32,
    pub(super) btf_key_type_id: u32,
    pub(super) btf_value_type_id: u32,
    pub(super) padding: u32,
}

impl MapInfo {
    /// Of this map.
    pub(super) fn of(map: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: it is the struct of maps. That of another object fills it with other integers.
        unsafe { info(map) }
    }

    /// BPF_MAP_TYPE_ARRAY, with one element.
    pub(super) fn is_array_of_one(&self) -> bool {
        (self.map_type, self.key_size, self.max_entries) == (2, 4, 1)
    }

    /// Whether two maps are of one kind and size.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let shape = |map: &Self| (map.map_type, map.key_size, map.value_size, map.max_entries);
        shape(self) == shape(other)
    }
}

/// The members of union bpf_attr for single elements.
#[repr(C)]
struct Element {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

impl Element {
    fn new<K, V>(map: BorrowedFd<'_>, key: &K, value: *const V) -> Self {
        Self {
            map_fd: map.as_raw_fd() as u32,
            padding: 0,
            key: std::ptr::from_ref(key) as u64,
            value: value as u64,
            flags: 0,
        }
    }
}

/// Reads the value of one key. None: there is none. In LRU maps it does not count as used.
///
/// # Safety
///
/// `K` and `V` have the size of the map's keys and values, and every bit pattern is a value of `V`.
pub(super) unsafe fn read_value<K, V: Default>(
    map: BorrowedFd<'_>,
    key: &K,
) -> io::Result<Option<V>> {
    let mut value = V::default();
    let mut element = Element::new(map, key, &raw mut value);
    // SAFETY: by contract.
    match unsafe { bpf(Command::MapLookup, &mut element) } {
        Ok(_) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the first value of an array whose values have `bytes` bytes: too many for the stack.
pub(super) fn read_first(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Vec<u8>> {
    let mut value = vec![0; bytes];
    let key = 0;
    let mut element = Element::new(map, &key, value.as_mut_ptr());
    // SAFETY: a key of four bytes, and room for the value.
    unsafe { bpf(Command::MapLookup, &mut element) }?;
    Ok(value)
}

/// Writes the first value of an array, all of it.
pub(super) fn write_first(map: BorrowedFd<'_>, value: &[u8]) -> io::Result<()> {
    let key = 0;
    let mut element = Element::new(map, &key, value.as_ptr());
    // SAFETY: a key of four bytes, and a whole value.
    unsafe { bpf(Command::MapUpdate, &mut element) }.map(drop)
}

/// The first members of `test` of union bpf_attr.
#[repr(C)]
struct TestRun {
    program: u32,
    returned: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

/// Runs an XDP program once, on a packet of zeros that leads nowhere. What it returns.
pub(super) fn run_once(program: BorrowedFd<'_>) -> io::Result<u32> {
    // An Ethernet header at the least (net/bpf/test_run.c, bpf_prog_test_run_xdp).
    let packet = [0_u8; 64];
    let mut run = TestRun {
        program: program.as_raw_fd() as u32,
        returned: 0,
        size_in: packet.len() as u32,
        size_out: 0,
        data_in: packet.as_ptr() as u64,
        data_out: 0,
        repeat: 1,
        duration: 0,
    };
    // SAFETY: the packet has as many bytes as it says, and nothing is written but `run`.
    unsafe { bpf(Command::ProgTestRun, &mut run) }?;
    Ok(run.returned)
}
