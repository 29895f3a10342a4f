//! Cgroups that appear and disappear while the daemon runs.

use super::{CgroupWatch, Cgroups, Outgoing, slot::Slot};
use crate::{
    kernel::{Adopted, Attachment, Kernel, KernelError, cgroup::Cgroup, scope::Scope},
    policy::Policy,
};

impl Kernel {
    /// Looks at the cgroups of the policy in force again: attaches to those that have appeared, and
    /// counts what is open in them; leaves those that are gone. Returns what has changed, for the
    /// log. What cannot be attached to is waited for.
    pub fn refresh_cgroups(&mut self, policy: &Policy) -> (Vec<Attachment>, Adopted) {
        let counted = self.cgroups.counted();
        self.cgroups.look(self.pins.as_ref());
        if self.cgroups.counted() != counted
            && let Err(error) = self.write_record()
        {
            // Whoever comes next finds that it is not whole, and counts what is open.
            tracing::error!("{error}");
        }
        let pins = self.pins.as_ref();
        // As at the start: first count, then add what is open, then refuse.
        self.cgroups.count(&self.ebpf, pins);
        let outgoing = self.compiled.outgoing();
        if outgoing != Outgoing::Ignored
            && let Err(error) = self.cgroups.outgoing(outgoing, &self.ebpf, pins)
        {
            // The next look tries it again.
            tracing::error!("{error}");
        }
        let mut adopted = Adopted::default();
        if let Some(scope) = self.cgroups.scope_of_new() {
            let compiled = &self.compiled;
            match self
                .candidates
                .adopt(&mut self.ebpf, &scope, compiled, None)
            {
                Ok(found) => {
                    adopted = found;
                    self.cgroups.enforce(&self.ebpf, pins);
                }
                Err(error) => self.cgroups.put_off(&error),
            }
        }
        let changed = self.cgroups.report();
        if !changed.is_empty()
            && let Err(error) = self.follow_listeners(policy)
        {
            // It is looked for again every few seconds.
            tracing::error!("{error}");
        }
        (changed, adopted)
    }

    /// Tells when [`Self::refresh_cgroups`] is due. None: never, only the root of the hierarchy is
    /// attached to. To be called on the runtime.
    pub fn watch_cgroups(&self) -> Option<CgroupWatch> {
        let slots = self.cgroups.slots.iter();
        let is_root = |slot: &&Slot| slot.cgroup().is_some_and(Cgroup::is_root);
        let named: Vec<_> = slots
            .filter(|slot| !is_root(slot))
            .map(|slot| slot.path.clone())
            .collect();
        (!named.is_empty()).then(|| CgroupWatch::new(named))
    }
}

impl Cgroups {
    /// Whose connections are counted from now on, and were not before.
    fn scope_of_new(&self) -> Option<Scope> {
        let mut new = self.slots.iter().filter_map(Slot::only_counting).peekable();
        new.peek()?;
        Some(Scope::of(new, [].into_iter(), false))
    }

    /// The next look tries it again.
    fn put_off(&mut self, error: &KernelError) {
        let mut slots = self.slots.iter_mut();
        while let Some(slot) = slots.find(|slot| slot.only_counting().is_some()) {
            slot.error = Some(error.clone());
        }
    }

    /// What has changed since the last call.
    pub(in crate::kernel) fn report(&mut self) -> Vec<Attachment> {
        self.slots.iter_mut().filter_map(Slot::report).collect()
    }
}
