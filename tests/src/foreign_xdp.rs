//! An XDP program of somebody else: it lets everything pass.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use nix::net::if_::if_nametoindex;

use crate::{link::XdpMode, netns::NetNs};

// enum bpf_cmd, enum bpf_prog_type and enum bpf_attach_type, include/uapi/linux/bpf.h
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;

/// Name of the program.
pub const NAME: &str = "someone_elses";

/// `r0 = XDP_PASS; exit`, loaded until dropped.
#[derive(Debug)]
pub struct ForeignXdp {
    program: OwnedFd,
}

impl ForeignXdp {
    /// Loads it.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn load() -> Self {
        const INSTRUCTIONS: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
        let mut name = [0; 16];
        name[..NAME.len()].copy_from_slice(NAME.as_bytes());
        let load = Load {
            program_type: BPF_PROG_TYPE_XDP,
            instruction_count: u32::try_from(INSTRUCTIONS.len()).expect("small"),
            instructions: INSTRUCTIONS.as_ptr() as u64,
            license: c"MIT".as_ptr() as u64,
            log: [0; 4],
            flags: 0,
            name,
            interface: 0,
            expected_attach_type: BPF_XDP,
        };
        Self {
            program: bpf(BPF_PROG_LOAD, &load).expect("load an XDP program"),
        }
    }

    /// Attaches it until the link is dropped.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn attach(&self, netns: &NetNs, device: &str, mode: XdpMode) -> OwnedFd {
        // XDP_FLAGS_SKB_MODE and XDP_FLAGS_DRV_MODE, include/uapi/linux/if_link.h
        let flags = match mode {
            XdpMode::Generic => 1 << 1,
            XdpMode::Native => 1 << 2,
        };
        let program = u32::try_from(self.program.as_raw_fd()).expect("an open descriptor");
        netns
            .run(|| {
                let index = if_nametoindex(device)?;
                bpf(BPF_LINK_CREATE, &[program, index, BPF_XDP, flags])
            })
            .unwrap_or_else(|e| panic!("attach an XDP program to {device}: {e}"))
    }
}

impl AsFd for ForeignXdp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

/// union bpf_attr, the part for BPF_PROG_LOAD
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    /// log_level, log_size, log_buf
    log: [u32; 4],
    /// kern_version and prog_flags
    flags: u64,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads as many bytes as the value has; the pointers in it are valid.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).expect("a descriptor");
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
