//! Programs that are attached to devices without traffic.
//!
//! Attached XDP programs are called directly, not through a pointer (kernel/bpf/dispatcher.c).
//! PROG_TEST_RUN attaches what is not for the time of the call, and that takes longer than most
//! calls.

use anyhow::{Context as _, Result};
use tests::{
    bpf,
    link::{self, XdpMode},
    netns::NetNs,
    test_run::Program,
    xdp,
};

/// Cables with a program at each end.
pub struct Cables<'a> {
    netns: &'a NetNs,
    /// One end of each.
    names: Vec<String>,
    _links: Vec<bpf::Link>,
}

impl<'a> Cables<'a> {
    /// Attaches them until this is dropped. Only once in a namespace at a time.
    pub fn hold(netns: &'a NetNs, programs: &[&Program]) -> Result<Self> {
        let mut names = Vec::new();
        let mut links = Vec::new();
        for (number, programs) in programs.chunks(2).enumerate() {
            let ends = [format!("bench{number}a"), format!("bench{number}b")];
            link::add_veth(netns, &ends[0], &ends[1]);
            for (program, end) in programs.iter().zip(&ends) {
                let link = xdp::attach(*program, netns, end, XdpMode::Native)
                    .with_context(|| format!("attach an XDP program to {end}"))?;
                links.push(link);
            }
            let [name, _] = ends;
            names.push(name);
        }
        Ok(Self {
            netns,
            names,
            _links: links,
        })
    }
}

impl Drop for Cables<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            link::delete(self.netns, name);
        }
    }
}
