//! Everything that touches the kernel. The only module that imports aya.
//!
//! | room | holds |
//! |---|---|
//! | [`Kernel`] | the loaded and attached programs, as the daemon sees them |
//! | `object` | the embedded object and how it is loaded |
//! | `cgroup` | finding, checking and locking cgroups |
//! | `interface` | the XDP program on network interfaces, which come and go |
//! | `attachment` | what is attached where |
//! | `compile` | from the checked policy to the values of the policy maps |
//! | `policy` | the policy maps: two halves, one switch |
//! | `networks` | client networks that are treated otherwise |
//! | `zones` | the zones' maps and counters |
//! | `events` | the rings |
//! | `adopt` | connections that are open while a policy begins |
//! | `change` | one policy takes the place of another |
//! | `indices` | which index a zone or a server has in the kernel |
//! | `divert` | sockets that refused attempts are brought to |
//! | `scope` | which sockets belong to the attached cgroups |
//! | `netns`, [`sock_diag`] | network namespaces, and the sockets in them |
//! | `syscall`, `twin` | bpf(2), and a map like another one |
//! | `privilege` | what the process may do |

mod adopt;
mod attachment;
mod cgroup;
mod change;
mod compile;
mod divert;
mod error;
mod events;
mod indices;
mod interface;
mod netns;
mod networks;
mod object;
mod policy;
mod privilege;
mod raw;
mod scope;
pub mod sock_diag;
mod syscall;
mod twin;
mod zones;

use aya::{Ebpf, programs::Xdp};
use limiter_common::{
    counters::{EventCounters, PacketCounters, ZoneCounters},
    entry::ZoneEntry,
    key::ZoneKey,
    names::{PROGRAM_COUNT, PROGRAM_ENFORCE, PROGRAM_XDP},
};

pub use self::{
    adopt::Adopted,
    attachment::{Attachment, Place},
    cgroup::root as cgroup_root,
    change::{Applied, AppliedZone},
    divert::{Places, Target},
    error::KernelError,
    events::{EventStream, NewListeners},
    indices::Indices,
    interface::{AttachedInterface, InterfaceWatch, interface_names},
    privilege::{check as check_privileges, give_up as give_up_privileges},
    zones::{Origin, possible_cpus},
};
use self::{
    adopt::Candidates, cgroup::Cgroup, compile::Compiled, divert::Diversion,
    indices::ServerIndices, interface::Interfaces, interface::Transmitters, policy::PolicyMaps,
    zones::ZoneMaps,
};
use crate::policy::{LogLevel, Policy};

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

/// The loaded and attached programs. Dropping it detaches everything.
pub struct Kernel {
    // Goes first: what refuses early must not outlive what counts.
    interfaces: Interfaces,
    transmitters: Transmitters,
    // Holds the programs and the links to cgroups; the maps below were taken from it.
    ebpf: Ebpf,
    policy: PolicyMaps,
    /// The policy in force.
    compiled: Compiled,
    indices: Indices,
    zones: ZoneMaps,
    servers: ServerIndices,
    candidates: Candidates,
    /// Whether open connections hold what the policy in force asks for, and no more.
    is_settled: bool,
    cgroups: Vec<Cgroup>,
    diversion: Diversion,
}

impl Kernel {
    /// Loads the programs, makes the zones, writes the policy, attaches to every cgroup of the
    /// policy (the root of the cgroup2 hierarchy if it names none), adopts open connections, and
    /// attaches to the interfaces of the policy that are there. Enforcement is in force when this
    /// returns.
    ///
    /// # Errors
    ///
    /// Nothing stays loaded or attached then. That an interface is missing is no error.
    pub fn start(policy: &Policy) -> Result<(Self, Adopted), KernelError> {
        privilege::check()?;
        privilege::raise_descriptor_limit()?;
        let cgroups = cgroup::open_all(policy)?;
        compile::check(policy)?;
        let mut ebpf = object::load(policy.error_log.level == LogLevel::Debug)?;
        let mut zones = ZoneMaps::take(&mut ebpf)?;
        let mut servers = ServerIndices::new();
        let placed = zones.place(&policy.zones)?;
        let indices = Indices {
            zones: placed.iter().map(|one| one.index).collect(),
            servers: servers.assign(policy.servers.iter().map(|it| it.name.as_str()))?,
        };
        let compiled = compile::compile(policy, &indices)?;
        let policy_maps = PolicyMaps::write(&mut ebpf, &compiled)?;
        object::load_programs(&mut ebpf)?;

        // Count first, so that from here on no connection is missed; then add those that were
        // open before; refuse only when the counts are true.
        for cgroup in &cgroups {
            object::attach_count(&mut ebpf, cgroup)?;
        }
        let mut candidates = Candidates::take(&mut ebpf)?;
        let adopted = candidates.adopt(&mut ebpf, &cgroups, &compiled, None)?;
        for cgroup in &cgroups {
            object::attach_enforce(&mut ebpf, cgroup)?;
        }
        let mut diversion = Diversion::new(&mut ebpf)?;
        diversion.refresh(&mut ebpf, &cgroups, policy)?;
        let xdp = object::program::<Xdp>(&mut ebpf, PROGRAM_XDP)?;
        let interfaces = Interfaces::attach(xdp, policy.interfaces())?;
        let mut transmitters = Transmitters::take(&mut ebpf)?;
        transmitters.set(interfaces.attached())?;
        let kernel = Self {
            interfaces,
            transmitters,
            ebpf,
            policy: policy_maps,
            compiled,
            indices,
            zones,
            servers,
            candidates,
            is_settled: true,
            cgroups,
            diversion,
        };
        Ok((kernel, adopted))
    }

    /// Which indices the zones and servers of the policy in force have.
    pub fn indices(&self) -> &Indices {
        &self.indices
    }

    /// Looks again where the servers of the policy in force listen, for the actions `reset` and
    /// `close`.
    ///
    /// # Errors
    ///
    /// Refused attempts may be dropped instead then. What fails in one network namespace only is
    /// no error, but logged.
    pub fn follow_listeners(&mut self, policy: &Policy) -> Result<(), KernelError> {
        self.diversion
            .refresh(&mut self.ebpf, &self.cgroups, policy)
    }

    /// Sockets to which refused attempts are brought since the last call. Whoever takes one accepts
    /// and closes what comes.
    pub fn take_targets(&mut self) -> Vec<Target> {
        self.diversion.take_fresh()
    }

    /// Waits for sockets that begin to listen on ports of the policy. Can be taken once.
    ///
    /// # Errors
    ///
    /// If it was taken before.
    pub fn take_new_listeners(&mut self) -> Result<NewListeners, KernelError> {
        NewListeners::take(&mut self.ebpf)
    }

    /// Also report passed connections as events.
    ///
    /// # Errors
    ///
    /// If the map cannot be written.
    pub fn report_passed(&mut self, on: bool) -> Result<(), KernelError> {
        self.policy.report_passed(on)
    }

    /// What is attached where: the cgroups, then the interfaces of the policy.
    pub fn attached(&self) -> Vec<Attachment> {
        let cgroups = self.cgroups.iter().map(|cgroup| {
            let place = Place::Cgroup(cgroup.path.clone());
            Attachment::plain(place, &[PROGRAM_COUNT, PROGRAM_ENFORCE])
        });
        cgroups
            .chain(self.interfaces.attachments())
            .chain(self.diversion.attachments())
            .collect()
    }

    /// Looks at the interfaces of the policy again: attaches to those that have appeared, forgets
    /// those that are gone. Returns what has changed, for the log.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell what is there.
    pub fn refresh_interfaces(&mut self) -> Result<Vec<Attachment>, KernelError> {
        let changed = self.interfaces.refresh()?;
        self.transmitters.set(self.interfaces.attached())?;
        Ok(changed)
    }

    /// Tells when [`Self::refresh_interfaces`] is due; can be taken once.
    ///
    /// # Errors
    ///
    /// If it was taken before, or the runtime does not take it.
    pub fn take_interface_watch(&mut self) -> Result<InterfaceWatch, KernelError> {
        self.interfaces.take_watch()
    }

    /// Reads the counts of the zone at this position of the policy in force.
    ///
    /// # Errors
    ///
    /// If a map cannot be read.
    pub fn read_zone(&self, position: usize) -> Result<ZoneReading, KernelError> {
        self.zones.read(self.indices.zones[position])
    }

    /// Reads every key of the zone at this position of the policy in force, in no order, idle keys
    /// (no connections) included.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn read_keys(&self, position: usize) -> Result<Vec<(ZoneKey, ZoneEntry)>, KernelError> {
        self.zones.read_keys(self.indices.zones[position])
    }

    /// Reads the counters of the event path, summed over all CPUs.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn read_event_counters(&self) -> Result<EventCounters, KernelError> {
        events::read_counters(&self.ebpf)
    }

    /// Reads the counters of packets that were not understood, summed over all CPUs.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn read_packet_counters(&self) -> Result<PacketCounters, KernelError> {
        events::read_packet_counters(&self.ebpf)
    }

    /// The stream of events; can be taken once.
    ///
    /// # Errors
    ///
    /// If it was taken before.
    pub fn take_events(&mut self) -> Result<EventStream, KernelError> {
        EventStream::take(&mut self.ebpf)
    }

    /// Serves the programs' other streams (excess connections, debug output) until dropped.
    /// To be spawned on the runtime once.
    ///
    /// # Errors
    ///
    /// If they were taken before.
    pub fn take_housekeeping(
        &mut self,
    ) -> Result<impl Future<Output = ()> + Send + 'static, KernelError> {
        events::housekeeping(&mut self.ebpf)
    }
}
