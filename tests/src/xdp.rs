//! XDP programs of a few instructions, for tests of the ground that the limiter stands on.

use std::{io, os::fd::AsFd};

use crate::{bpf, link::XdpMode, netns::NetNs, test_run::Program};

/// What XDP does with a frame (`enum xdp_action`, include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    /// The program failed; the frame is dropped.
    Aborted = 0,
    /// The frame is dropped.
    Drop = 1,
    /// The frame goes on to the network stack.
    Pass = 2,
    /// The frame goes out of the interface that it came from.
    Tx = 3,
    /// The frame goes elsewhere.
    Redirect = 4,
}

impl Verdict {
    /// From a program's return value.
    ///
    /// # Panics
    /// If it means nothing.
    pub fn new(value: u32) -> Self {
        [
            Self::Aborted,
            Self::Drop,
            Self::Pass,
            Self::Tx,
            Self::Redirect,
        ]
        .into_iter()
        .find(|verdict| *verdict as u32 == value)
        .unwrap_or_else(|| panic!("{value} is no verdict of an XDP program"))
    }
}

/// Loads a program of these instructions. The name has 15 bytes at the most.
///
/// # Panics
/// If the kernel refuses it.
pub fn load(name: &str, instructions: &[u64]) -> Program {
    let program = bpf::load(PROGRAM_TYPE_XDP, ATTACH_TYPE_XDP, name, instructions)
        .unwrap_or_else(|e| panic!("load an XDP program: {e}"));
    Program::new(program)
}

/// Instructions that give every frame the same verdict.
pub fn always(verdict: Verdict) -> Vec<u64> {
    vec![
        0xb7 | u64::from(verdict as u32) << 32, // r0 = verdict
        EXIT,
    ]
}

/// Instructions that drop a frame whose 16 bits at `offset` have this value, in network order, and
/// let the others pass.
pub fn drop_if(offset: u16, value: u16) -> Vec<u64> {
    let offset = u64::from(offset);
    vec![
        0x1261,                                            // r2 = *(u32 *)(r1 + 0): data
        0x0004_1361,                                       // r3 = *(u32 *)(r1 + 4): data_end
        0x24bf,                                            // r4 = r2
        0x0407 | (offset + 2) << 32,                       // r4 += offset + 2
        0x0004_342d,                                       // if r4 > r3: pass
        0x2569 | offset << 16,                             // r5 = *(u16 *)(r2 + offset)
        0x0002_0555 | u64::from(value.swap_bytes()) << 32, // if r5 != value: pass
        0xb7 | u64::from(Verdict::Drop as u32) << 32,
        EXIT,
        0xb7 | u64::from(Verdict::Pass as u32) << 32,
        EXIT,
    ]
}

/// Attaches a program to an interface of `netns`, until the link is dropped.
///
/// # Errors
/// As the kernel says.
pub fn attach(
    program: &(impl AsFd + Sync),
    netns: &NetNs,
    device: &str,
    mode: XdpMode,
) -> io::Result<bpf::Link> {
    // XDP_FLAGS_DRV_MODE and XDP_FLAGS_SKB_MODE, include/uapi/linux/if_link.h
    let flags = match mode {
        XdpMode::Native => 1 << 2,
        XdpMode::Generic => 1 << 1,
    };
    netns.run(|| {
        let index = nix::net::if_::if_nametoindex(device)?;
        bpf::Link::new(program, index, ATTACH_TYPE_XDP, flags)
    })
}

/// `BPF_PROG_TYPE_XDP`
const PROGRAM_TYPE_XDP: u32 = 6;
/// `BPF_XDP`
const ATTACH_TYPE_XDP: u32 = 37;
/// The instruction that ends a program.
const EXIT: u64 = 0x95;
