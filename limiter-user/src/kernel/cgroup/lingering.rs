//! Links of cgroups that are gone.
//!
//! A socket belongs to the cgroup it was created in, and may outlive it: a process has moved, or a
//! connection has yet to end. The kernel keeps the programs of a removed cgroup until its last socket
//! is gone (kernel/bpf/cgroup.c, cgroup_bpf_offline), and those sockets have slots to give back.
//! Whoever detached the programs would have these slots taken for ever. So the links stay until the
//! kernel itself has detached them (bpf_cgroup_link_auto_detach).

use std::fs;

use aya::Ebpf;
use limiter_common::names::{PROGRAM_COUNT, PROGRAM_ENFORCE, PROGRAM_WAIT};

use super::slot::Outgoing;
use crate::kernel::{
    error::{Context, KernelError},
    link::Link,
    object,
    pins::Pins,
};

/// See the module.
#[derive(Default)]
pub(super) struct Lingering(Vec<Of>);

/// The link of one program.
struct Of {
    program: &'static str,
    /// Id of the cgroup.
    cgroup: u64,
    link: Link,
}

impl Lingering {
    /// Has our programs run in place of those of another daemon, wherever these linger: what is
    /// pinned, except for the cgroups that are `here`.
    pub(super) fn take_over(ebpf: &Ebpf, pins: &Pins, here: &[u64]) -> Result<Self, KernelError> {
        let mut lingering = Self::default();
        let programs = [PROGRAM_COUNT, PROGRAM_ENFORCE, PROGRAM_WAIT].iter();
        for &program in programs.chain(Outgoing::Queued.programs()) {
            let mut cgroups = pins.cgroups(program);
            cgroups.retain(|cgroup| !here.contains(cgroup));
            if cgroups.is_empty() {
                continue;
            }
            let descriptor = object::descriptor(ebpf, program)?;
            for cgroup in cgroups {
                let Ok(link) = Link::open(&pins.link(program, cgroup)) else {
                    continue;
                };
                if let Err(error) = link.replace(descriptor) {
                    // The kernel was faster, or the program of before goes on with the same maps.
                    tracing::debug!("replace {program} at the removed cgroup {cgroup}: {error}");
                }
                lingering.add(program, cgroup, link);
            }
        }
        lingering.settle(Some(pins));
        Ok(lingering)
    }

    /// Keeps a link.
    pub(super) fn add(&mut self, program: &'static str, cgroup: u64, link: Link) {
        self.0.push(Of {
            program,
            cgroup,
            link,
        });
    }

    /// The link of a cgroup that was not gone after all.
    pub(super) fn take(&mut self, program: &str, cgroup: u64) -> Option<Link> {
        let is_it = |of: &Of| (of.program, of.cgroup) == (program, cgroup);
        let position = self.0.iter().position(is_it)?;
        Some(self.0.swap_remove(position).link)
    }

    /// Gives up the links that the kernel has detached.
    pub(super) fn settle(&mut self, pins: Option<&Pins>) {
        for gone in self
            .0
            .extract_if(.., |of| of.link.cgroup().is_ok_and(|id| id == 0))
        {
            let Some(pins) = pins else {
                continue;
            };
            let pin = pins.link(gone.program, gone.cgroup);
            if let Err(error) = fs::remove_file(&pin).context("unpin", pin.display()) {
                tracing::warn!("{error}");
            }
        }
    }

    /// Ids of the cgroups whose sockets are still counted.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        let counting = self.0.iter().filter(|of| of.program == PROGRAM_COUNT);
        counting.map(|of| of.cgroup)
    }
}
