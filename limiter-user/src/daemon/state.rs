//! The kernel's side together with the policy in force and the books. They change together.

use std::{collections::HashMap, path::Path, sync::Arc};

use limiter_common::counters::{EventCounters, PacketCounters};
use tokio::sync::watch;

use super::{
    books::{self, ZoneBook},
    change, convert, differences,
    holders::OpenConnections,
    in_force::InForce,
    interfaces,
    log::notice,
    log_lines::change_line,
    one_zone::OneZone,
    reload::{self, Fresh},
};
use crate::{
    api::{Attached, Reloaded, ServerStatus, ZoneStatus},
    control::refusal::Refusal,
    kernel::{Applied, Indices, Kernel, KernelError, Stopwatch, Target},
    policy::Policy,
};

/// See the module. Dropping it detaches everything.
pub struct State {
    kernel: Kernel,
    policy: watch::Sender<Arc<InForce>>,
    /// As it was read from its file or from flags, before commands changed it.
    loaded: Arc<Policy>,
    /// One per zone of the policy.
    books: Vec<ZoneBook>,
    /// Subscribers that asked for passed connections.
    passed_wanted: usize,
    /// Held while the programs' runs are measured.
    stopwatch: Option<Stopwatch>,
}

mod snapshot;

impl State {
    /// Takes a kernel that enforces `policy`; the receiver follows its changes. `books` are those of
    /// the daemon before, by the names of zones.
    pub fn new(
        kernel: Kernel,
        policy: Policy,
        applied: &Applied,
        books: &HashMap<String, ZoneBook>,
    ) -> (Self, watch::Receiver<Arc<InForce>>) {
        let book_of = |name: &str| books.get(name).copied().unwrap_or_default();
        let books = books::next(&policy, applied, book_of);
        let loaded = Arc::new(policy.clone());
        let in_force = InForce::new(policy, kernel.indices());
        let (policy, follower) = watch::channel(Arc::new(in_force));
        let mut state = Self {
            kernel,
            policy,
            loaded,
            books,
            passed_wanted: 0,
            stopwatch: None,
        };
        state.measure();
        state.record_books();
        (state, follower)
    }

    /// The kernel goes on without us, or does not, when this is dropped.
    pub fn keep(&mut self, keep: bool) {
        self.kernel.keep(keep);
    }

    pub(super) fn kernel_mut(&mut self) -> &mut Kernel {
        &mut self.kernel
    }

    /// Where maps and links are pinned.
    pub fn pinned_at(&self) -> Option<&Path> {
        self.kernel.pinned_at()
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<InForce> {
        Arc::clone(&self.policy.borrow())
    }

    /// Every server in force, with what commands have changed.
    pub fn servers(&self) -> Vec<ServerStatus> {
        differences::servers(&self.loaded, &self.policy())
    }

    /// What is attached where.
    pub fn attached(&self) -> Vec<Attached> {
        let attached = self.kernel.attached().into_iter();
        attached.map(convert::attached).collect()
    }

    /// Looks at the cgroups of the policy again, and says what has changed.
    pub fn refresh_cgroups(&mut self) {
        let policy = self.policy();
        let (changed, adopted) = self.kernel.refresh_cgroups(&policy);
        changed.iter().for_each(interfaces::log_attachment);
        super::log_adopted(&adopted);
        if !changed.is_empty() {
            // Whoever serves targets looks for new ones.
            self.policy.send_modify(|_| ());
        }
    }

    /// Looks at the interfaces of the policy again, and says what has changed.
    pub fn refresh_interfaces(&mut self) -> Result<(), KernelError> {
        let changed = self.kernel.refresh_interfaces()?;
        changed.iter().for_each(interfaces::log_attachment);
        Ok(())
    }

    /// All zones, without keys.
    pub fn zones(&self) -> Result<Vec<ZoneStatus>, Refusal> {
        let policy = self.policy();
        (0..policy.zones.len())
            .map(|zone| self.read(&policy, zone))
            .collect()
    }

    /// One zone, and the way to its keys.
    pub fn zone(&self, name: &str) -> Result<OneZone, Refusal> {
        let policy = self.policy();
        let position = change::zone(&policy, name)?;
        let status = self.read(&policy, position)?;
        let keys = self.kernel.keys(position).map_err(failed)?;
        let untold = self.kernel.untold(position).map_err(failed)?;
        Ok(OneZone {
            status,
            keys,
            untold,
            policy,
            position,
        })
    }

    /// The way to the open connections. A zone that is named must be there.
    pub fn connections(&self, zone: Option<&str>) -> Result<OpenConnections, Refusal> {
        let policy = self.policy();
        if let Some(zone) = zone {
            change::zone(&policy, zone)?;
        }
        let reader = self.kernel.holders().map_err(failed)?;
        let slots = self.slots(&reader.indices)?;
        Ok(OpenConnections::new(reader, policy, &slots))
    }

    /// Slots that were taken and given back, by zone.
    pub fn slots(&self, indices: &Indices) -> Result<Vec<(u64, u64)>, Refusal> {
        self.kernel.slots(indices).map_err(failed)
    }

    /// The event path since start.
    pub fn event_counters(&self) -> Result<EventCounters, Refusal> {
        self.kernel.read_event_counters().map_err(failed)
    }

    /// Packets that were not understood since start.
    pub fn packet_counters(&self) -> Result<PacketCounters, Refusal> {
        self.kernel.read_packet_counters().map_err(failed)
    }

    /// Edits a copy, puts it in force, and only then makes it the policy: a change that fails
    /// leaves everything as it was.
    pub fn change(
        &mut self,
        edit: impl FnOnce(&mut Policy) -> Result<Vec<usize>, Refusal>,
    ) -> Result<Vec<ServerStatus>, Refusal> {
        let mut policy = Policy::clone(&self.policy.borrow());
        let changed = edit(&mut policy)?;
        self.put_in_force(policy)?;
        let policy = self.policy();
        let changed: Vec<_> = changed
            .iter()
            .map(|&index| differences::server(&self.loaded, &policy, index))
            .collect();
        for server in &changed {
            notice!("{}", change_line(server));
        }
        Ok(changed)
    }

    /// Puts a policy in force that was read again.
    pub fn reload(&mut self, fresh: Fresh) -> Result<Reloaded, Refusal> {
        let Fresh {
            policy,
            mut warnings,
        } = fresh;
        let before = self.policy();
        let loaded = Arc::new(policy.clone());
        let applied = self.put_in_force(policy)?;
        self.loaded = loaded;
        let now = self.policy();
        warnings.extend(reload::at_the_next_start(&before, &now));
        let reloaded = reload::reloaded(&before, &now, &applied, &warnings);
        reload::log(&reloaded, &applied.adopted, &warnings, (&before, &now));
        if let Err(error) = self.refresh_interfaces() {
            tracing::error!("{error}");
        }
        Ok(reloaded)
    }

    fn put_in_force(&mut self, policy: Policy) -> Result<Applied, Refusal> {
        let applied = self.kernel.apply(&policy).map_err(failed)?;
        let before = self.policy();
        let book_of = |name: &str| {
            let position = before.zones.iter().position(|zone| zone.name == name);
            position.map_or_else(ZoneBook::default, |position| self.books[position])
        };
        self.books = books::next(&policy, &applied, book_of);
        let in_force = before.followed_by(policy, self.kernel.indices());
        self.policy.send_replace(Arc::new(in_force));
        self.measure();
        self.record_books();
        Ok(applied)
    }

    /// For the next daemon. If that fails, it begins with the kernel's counters.
    fn record_books(&mut self) {
        let policy = self.policy();
        let names = policy.zones.iter().map(|zone| zone.name.as_str());
        let books = books::to_json(names.zip(&self.books));
        if let Err(error) = self.kernel.set_books(books) {
            tracing::warn!("{error}");
        }
    }

    /// Looks again where the servers listen, if that matters.
    pub fn follow_listeners(&mut self) -> Result<(), Refusal> {
        let policy = self.policy();
        self.kernel.follow_listeners(&policy).map_err(failed)
    }

    /// Sockets that refused attempts are brought to, and that nobody serves yet.
    pub fn take_targets(&mut self) -> Vec<Target> {
        self.kernel.take_targets()
    }

    /// Counters of one zone, or of all, start at zero.
    pub fn reset(&mut self, zone: Option<&str>) -> Result<(), Refusal> {
        let policy = self.policy();
        let zones = match zone {
            Some(name) => {
                let zone = change::zone(&policy, name)?;
                zone..zone + 1
            }
            None => 0..policy.zones.len(),
        };
        // All are read before one is changed, so that a failure changes nothing.
        let readings: Result<Vec<_>, _> = zones
            .clone()
            .map(|zone| self.kernel.read_zone(zone))
            .collect();
        for (zone, reading) in zones.zip(readings.map_err(failed)?) {
            self.books[zone].reset(reading.counters);
            notice!("zone {:?}: counters reset", policy.zones[zone].name);
        }
        self.record_books();
        Ok(())
    }

    /// One more subscriber wants passed connections.
    pub fn want_passed(&mut self) -> Result<(), Refusal> {
        if self.passed_wanted == 0 {
            self.kernel.report_passed(true).map_err(failed)?;
        }
        self.passed_wanted += 1;
        Ok(())
    }

    /// One subscriber less wants passed connections.
    pub fn release_passed(&mut self) -> Result<(), KernelError> {
        self.passed_wanted = self.passed_wanted.saturating_sub(1);
        if self.passed_wanted == 0 {
            self.kernel.report_passed(false)?;
        }
        Ok(())
    }

    fn read(&self, policy: &Policy, zone: usize) -> Result<ZoneStatus, Refusal> {
        let reading = self.kernel.read_zone(zone).map_err(failed)?;
        Ok(self.books[zone].status(&policy.zones[zone], &reading))
    }
}

/// What a peer is told, and the log.
pub(super) fn failed(error: KernelError) -> Refusal {
    tracing::error!("{error}");
    Refusal::internal(match &error.hint {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    })
}
