//! Everything that touches the kernel's BPF side. The only module that imports aya.

use std::path::PathBuf;

use limiter_common::{
    counters::{EventCounters, ZoneCounters},
    entry::ZoneEntry,
    event::Event,
    key::ZoneKey,
};

use crate::policy::Policy;

/// What the daemon is told when something in the kernel does not work out.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object}: {cause}")]
pub struct KernelError {
    /// What was tried.
    pub operation: &'static str,
    /// On what.
    pub object: String,
    /// Why it failed.
    pub cause: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Counts of one zone as the kernel has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZoneReading {
    /// Sum over all CPUs.
    pub counters: ZoneCounters,
    /// Keys with at least one connection.
    pub keys: u64,
    /// Memory that the kernel charges for the zone's map, bytes.
    pub memory_bytes: u64,
}

/// What adoption did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Adopted {
    /// Connections that were open before and are counted now.
    pub connections: u64,
}

/// A cgroup that the programs are attached to.
#[derive(Clone, Debug)]
pub struct AttachedCgroup {
    /// Its directory.
    pub path: PathBuf,
    /// Names of the programs.
    pub programs: Vec<&'static str>,
}

/// The loaded and attached programs. Dropping it detaches everything.
pub struct Kernel {
    _private: (),
}

impl Kernel {
    /// Loads the programs, makes the zones, writes the policy, attaches to every cgroup of the
    /// policy (the root of the cgroup2 hierarchy if it names none) and adopts open connections.
    /// Enforcement is in force when this returns.
    pub fn start(_policy: &Policy) -> Result<(Self, Adopted), KernelError> {
        todo!()
    }

    /// Puts new limits, dry run switches and actions in force, in one switch. Zones and listeners
    /// must be those that the programs were started with.
    pub fn switch(&mut self, _policy: &Policy) -> Result<(), KernelError> {
        todo!()
    }

    /// Also report passed connections as events.
    pub fn report_passed(&mut self, _on: bool) -> Result<(), KernelError> {
        todo!()
    }

    /// What is attached where.
    pub fn attached(&self) -> Vec<AttachedCgroup> {
        todo!()
    }

    /// Reads the counts of the zone at `index` of the policy.
    pub fn read_zone(&self, _index: usize) -> Result<ZoneReading, KernelError> {
        todo!()
    }

    /// Reads every key of the zone at `index` of the policy, in no order, idle keys (no
    /// connections) included.
    pub fn read_keys(&self, _index: usize) -> Result<Vec<(ZoneKey, ZoneEntry)>, KernelError> {
        todo!()
    }

    /// Reads the counters of the event path, summed over all CPUs.
    pub fn read_event_counters(&self) -> Result<EventCounters, KernelError> {
        todo!()
    }

    /// The stream of events; can be taken once.
    pub fn take_events(&mut self) -> Result<EventStream, KernelError> {
        todo!()
    }

    /// Serves the programs' other streams (excess connections, debug output) until dropped.
    /// To be spawned on the runtime once.
    pub fn take_housekeeping(
        &mut self,
    ) -> Result<impl Future<Output = ()> + Send + 'static, KernelError> {
        Ok(async {})
    }
}

/// Events from the ring buffer.
pub struct EventStream {
    _private: (),
}

impl EventStream {
    /// Waits until there are events and appends all that are there to `events`, up to a bounded
    /// number a call.
    pub async fn read(&mut self, _events: &mut Vec<Event>) -> Result<(), KernelError> {
        todo!()
    }
}
