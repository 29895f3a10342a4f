//! An XDP program of somebody else: it lets everything pass.

use std::os::fd::{AsFd, BorrowedFd};

use crate::{
    bpf,
    link::XdpMode,
    netns::NetNs,
    test_run::Program,
    xdp::{self, Verdict},
};

/// Name of the program.
pub const NAME: &str = "someone_elses";

/// Loaded until dropped.
#[derive(Debug)]
pub struct ForeignXdp {
    program: Program,
}

impl ForeignXdp {
    /// Loads it.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn load() -> Self {
        let program = xdp::load(NAME, &xdp::always(Verdict::Pass));
        Self { program }
    }

    /// Attaches it until the link is dropped.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn attach(&self, netns: &NetNs, device: &str, mode: XdpMode) -> bpf::Link {
        xdp::attach(&self.program, netns, device, mode)
            .unwrap_or_else(|e| panic!("attach an XDP program to {device}: {e}"))
    }
}

impl AsFd for ForeignXdp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}
