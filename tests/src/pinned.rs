//! What is pinned in the bpf filesystem, to look at and to spoil behind the limiter's back.

use std::{
    ffi::CString,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use crate::bpf::{self, Command, Update, count, number};

/// A map, a link or a program.
#[derive(Debug)]
pub struct Pinned(OwnedFd);

/// `union bpf_attr` for BPF_OBJ_PIN and BPF_OBJ_GET.
#[repr(C)]
struct Place {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// The member `info`.
#[repr(C)]
struct GetInfo {
    descriptor: u32,
    length: u32,
    info: u64,
}

impl Pinned {
    /// Opens it.
    ///
    /// # Panics
    /// If it is not there.
    #[track_caller]
    pub fn open(path: &Path) -> Self {
        let name = CString::new(path.as_os_str().as_bytes()).expect("a path");
        let mut place = Place {
            path: name.as_ptr() as u64,
            descriptor: 0,
            flags: 0,
        };
        // SAFETY: the path ends with NUL.
        let opened = unsafe { bpf::open(Command::Get, &mut place) };
        Self(opened.unwrap_or_else(|e| panic!("open {}: {e}", path.display())))
    }

    /// Number of a link, which no other link of this boot has had: the second word of `struct
    /// bpf_link_info`.
    ///
    /// # Panics
    /// If the kernel does not say.
    pub fn link_id(&self) -> u32 {
        let mut words = [0_u32; 2];
        let mut info = GetInfo {
            descriptor: number(&self.0),
            length: count(size_of_val(&words)),
            info: words.as_mut_ptr() as u64,
        };
        // SAFETY: the kernel writes as many bytes as it is told.
        unsafe { bpf::call(Command::Info, &mut info) }.expect("what the kernel knows of a link");
        words[1]
    }

    /// The map at this index of an array of maps.
    ///
    /// # Panics
    /// If the kernel does not give it.
    pub fn inner(&self, index: u32) -> OwnedFd {
        let mut id = 0_u32;
        let mut element = Update {
            map: number(&self.0),
            key: std::ptr::from_ref(&index) as u64,
            value: (&raw mut id) as u64,
            ..Update::default()
        };
        // SAFETY: a key of four bytes, and a value of four (kernel/bpf/map_in_map.c,
        // bpf_map_fd_sys_lookup_elem).
        unsafe { bpf::call(Command::MapLookup, &mut element) }.expect("the number of a map");
        // SAFETY: number, next number and flags; no pointers.
        unsafe { bpf::open(Command::MapById, &mut [id, 0, 0]) }.expect("the map of this number")
    }

    /// The only value of an array whose values have this many bytes.
    ///
    /// # Panics
    /// If the kernel does not give it.
    pub fn value(&self, bytes: usize) -> Vec<u8> {
        let mut value = vec![0; bytes];
        self.element(Command::MapLookup, value.as_mut_ptr());
        value
    }

    /// Writes the only value of an array, all of it.
    ///
    /// # Panics
    /// If the kernel does not take it.
    pub fn set_value(&self, mut value: Vec<u8>) {
        self.element(Command::MapUpdate, value.as_mut_ptr());
    }

    fn element(&self, command: Command, value: *mut u8) {
        let key = 0_u32;
        let mut element = Update {
            map: number(&self.0),
            key: std::ptr::from_ref(&key) as u64,
            value: value as u64,
            ..Update::default()
        };
        // SAFETY: a key of four bytes, and a value as long as those of the map.
        unsafe { bpf::call(command, &mut element) }.expect("the value of a map");
    }
}

/// Pins something.
///
/// # Panics
/// If that is not possible.
#[track_caller]
pub fn pin(object: &impl AsFd, path: &Path) {
    let name = CString::new(path.as_os_str().as_bytes()).expect("a path");
    let mut place = Place {
        path: name.as_ptr() as u64,
        descriptor: number(object),
        flags: 0,
    };
    // SAFETY: the path ends with NUL.
    unsafe { bpf::call(Command::Pin, &mut place) }
        .unwrap_or_else(|e| panic!("pin {}: {e}", path.display()));
}
