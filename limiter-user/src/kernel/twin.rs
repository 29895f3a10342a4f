//! Makes a map like another one, of another size.
//!
//! Up to Linux 6.1 the maps of zones must have the same BTF as the inner map that the programs were
//! verified with, so they are made after a map of the object. aya makes maps of an object only, all
//! of them, and parses it each time.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use super::syscall::{Command, MapInfo, bpf};

/// The members of union bpf_attr for the creation of a map, up to the last that is used.
#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
    map_ifindex: u32,
    btf_fd: u32,
    btf_key_type_id: u32,
    btf_value_type_id: u32,
}

/// The members of union bpf_attr for the descriptor of a BTF.
#[repr(C)]
struct GetById {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// A map like this one, with room for so many elements.
pub(super) fn of(map: BorrowedFd<'_>, max_entries: u32) -> io::Result<OwnedFd> {
    let info = MapInfo::of(map)?;
    let mut get_btf = GetById {
        id: info.btf_id,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: there is no pointer in it; what comes back is a new descriptor.
    let btf = unsafe { OwnedFd::from_raw_fd(bpf(Command::BtfGetFdById, &mut get_btf)?) };
    let mut create = MapCreate {
        map_type: info.map_type,
        key_size: info.key_size,
        value_size: info.value_size,
        max_entries,
        map_flags: info.map_flags,
        inner_map_fd: 0,
        numa_node: 0,
        map_name: info.name,
        map_ifindex: 0,
        btf_fd: btf.as_fd().as_raw_fd() as u32,
        btf_key_type_id: info.btf_key_type_id,
        btf_value_type_id: info.btf_value_type_id,
    };
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(bpf(Command::MapCreate, &mut create)?) })
}
