//! The cgroups of the policy, which come and go: a service that restarts gets a new one.
//!
//! A cgroup is known by its path: the programs are attached to whichever directory is there at the
//! moment. [`Cgroups::look`] looks at every path again.
//!
//! | room | holds |
//! |---|---|
//! | `directory` | one cgroup: opening, checking and locking it |
//! | `path` | where cgroups are, or will be |
//! | `attach` | attaching one program to one of them |
//! | `slot` | one cgroup of the policy, whether it is there or not |
//! | `lingering` | links of cgroups that are gone |
//! | `follow` | attaching to one that appears while the daemon runs |
//! | `watch` | waiting for cgroups to come and go |

mod attach;
mod directory;
mod follow;
mod lingering;
mod path;
mod slot;
mod watch;

use std::path::PathBuf;

use aya::Ebpf;
use limiter_common::names::PROGRAM_ENFORCE;

pub(super) use self::{attach::attach, directory::Cgroup, path::own, slot::Outgoing};
use self::{lingering::Lingering, slot::Slot};
pub use self::{path::root, watch::CgroupWatch};
use super::{attachment::Attachment, error::KernelError, object, pins::Pins, scope::Scope};
use crate::policy::Policy;

/// The cgroups of the policy, in its order. Dropping it detaches from all.
pub(super) struct Cgroups {
    slots: Vec<Slot>,
    /// Why outgoing connections cannot be counted here.
    no_outgoing: Option<KernelError>,
    lingering: Lingering,
}

impl Cgroups {
    /// Opens and locks every cgroup of the policy that is there.
    ///
    /// # Errors
    ///
    /// If one is used by another limiter, or there cannot be a cgroup at a path. That there is none
    /// yet is no error.
    pub(super) fn open(policy: &Policy) -> Result<Self, KernelError> {
        let slots = path::wanted(policy)?.into_iter().map(Slot::new);
        let mut cgroups = Self {
            slots: slots.collect(),
            no_outgoing: None,
            lingering: Lingering::default(),
        };
        cgroups.look(None);
        cgroups.check()?;
        Ok(cgroups)
    }

    /// Fails if there is a cgroup that something cannot be done to.
    pub(super) fn check(&self) -> Result<(), KernelError> {
        let error = self.slots.iter().find_map(|slot| slot.error.clone());
        error.map_or(Ok(()), Err)
    }

    /// Where they are or will be, as the record has it.
    pub(super) fn paths(&self) -> Vec<String> {
        let paths = self.slots.iter().map(|slot| slot.path.to_string_lossy());
        paths.map(Into::into).collect()
    }

    /// Ids of all whose connections are counted, or are about to be.
    pub(super) fn counted(&self) -> Vec<u64> {
        let there = self.there().map(Cgroup::id);
        there.chain(self.lingering.ids()).collect()
    }

    /// Fails if another policy wants others: which they are is decided at the start.
    pub(super) fn check_unchanged(&self, policy: &Policy) -> Result<(), KernelError> {
        let mut wanted = path::wanted_at_all(policy)?;
        let mut ours: Vec<PathBuf> = self.slots.iter().map(|slot| slot.path.clone()).collect();
        wanted.sort_unstable();
        ours.sort_unstable();
        if wanted == ours {
            return Ok(());
        }
        let list = |paths: &[PathBuf]| {
            let paths = paths.iter().map(|path| path.display().to_string());
            paths.collect::<Vec<_>>().join(", ")
        };
        Err(KernelError::new(
            "change",
            "the cgroups",
            format!("attached to {}, not to {}", list(&ours), list(&wanted)),
        )
        .hint("`attach cgroup` takes effect at the next start"))
    }

    /// Has the kernel verify what is attached to cgroups because of outgoing connections. Where it does
    /// not, that is an error only if it is wanted.
    pub(super) fn load_outgoing(&mut self, ebpf: &mut Ebpf) {
        self.no_outgoing = object::load_outgoing(ebpf).err();
    }

    /// Puts our programs in place of those of another daemon, at every cgroup that they are pinned
    /// for; cgroups that have appeared since are counted, too, but nobody is refused there yet.
    pub(super) fn take_over(&mut self, ebpf: &Ebpf, pins: &Pins) -> Result<(), KernelError> {
        let here: Vec<u64> = self.there().map(Cgroup::id).collect();
        self.lingering = Lingering::take_over(ebpf, pins, &here)?;
        self.count(ebpf, Some(pins));
        for slot in &mut self.slots {
            slot.take_over_outgoing(ebpf, pins, &mut self.lingering)?;
            let enforces = |it: &Cgroup| pins.link(PROGRAM_ENFORCE, it.id()).exists();
            if slot.only_counting().is_some_and(enforces) {
                slot.enforce(ebpf, Some(pins), &mut self.lingering);
            }
        }
        self.check()
    }

    /// Looks at every path: leaves cgroups that were removed, opens and locks those that have
    /// appeared.
    pub(super) fn look(&mut self, pins: Option<&Pins>) {
        for slot in &mut self.slots {
            slot.look(&mut self.lingering);
        }
        self.lingering.settle(pins);
    }

    /// Has the connections of all that are there counted from here on.
    pub(super) fn count(&mut self, ebpf: &Ebpf, pins: Option<&Pins>) {
        for slot in &mut self.slots {
            slot.count(ebpf, pins, &mut self.lingering);
        }
    }

    /// Has outgoing connections counted and refused wherever others are counted, or not any more.
    ///
    /// # Errors
    ///
    /// If something cannot be attached.
    pub(super) fn outgoing(
        &mut self,
        wanted: Outgoing,
        ebpf: &Ebpf,
        pins: Option<&Pins>,
    ) -> Result<(), KernelError> {
        if let (false, Some(error)) = (wanted == Outgoing::Ignored, &self.no_outgoing) {
            return Err(error.clone());
        }
        let mut slots = self.slots.iter_mut();
        slots.try_for_each(|slot| slot.outgoing(wanted, ebpf, pins, &mut self.lingering))
    }

    /// Has the limits enforced wherever connections are counted.
    pub(super) fn enforce(&mut self, ebpf: &Ebpf, pins: Option<&Pins>) {
        for slot in &mut self.slots {
            slot.enforce(ebpf, pins, &mut self.lingering);
        }
    }

    /// Whose connections count.
    pub(super) fn scope(&self) -> Scope {
        let is_complete = self.slots.iter().all(|slot| slot.cgroup().is_some());
        Scope::of(self.there(), self.lingering.ids(), is_complete)
    }

    /// Every cgroup, whether attached or waited for.
    pub(super) fn attachments(&self) -> impl Iterator<Item = Attachment> {
        self.slots.iter().map(Slot::attachment)
    }

    /// Those that are there.
    pub(super) fn there(&self) -> impl Iterator<Item = &Cgroup> {
        self.slots.iter().filter_map(Slot::cgroup)
    }
}
