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
pub(super) fn read_words(map: BorrowedFd<'_>, count: u32) -> io::Result<Vec<u32>> {
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
pub(super) enum Part {
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
pub(super) unsafe fn read_part<K: Copy, V: Copy>(
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
