//! Everything that touches the kernel. The only module that imports aya.
//!
//! | room | holds |
//! |---|---|
//! | [`Kernel`] | the loaded and attached programs, as the daemon sees them |
//! | `object` | the embedded object and how it is loaded |
//! | `start` | from nothing, or from what another daemon has left |
//! | [`pins`], `link` | what outlives the daemon |
//! | `left` | what another daemon has left, and whether it can be taken over |
//! | `layout`, `btf` | whether the maps of another version mean the same |
//! | `cgroup` | the cgroups of the policy, which come and go |
//! | `interface` | the XDP program on network interfaces, which come and go |
//! | `attachment` | what is attached where |
//! | `compile` | from the checked policy to the values of the policy maps |
//! | `policy` | the policy maps: two halves, one switch |
//! | `machine` | what the programs are told of this machine |
//! | `networks` | client networks that are treated otherwise |
//! | `zones` | the zones' maps and counters |
//! | `upstreams` | the servers of upstreams |
//! | `events` | the rings |
//! | [`foreign`] | bytes of another version, as the fuzz targets give them |
//! | `audit` | counts are made again and compared |
//! | `iterator` | programs that run for each of many objects |
//! | `adopt` | connections that are open while a policy begins |
//! | `change` | one policy takes the place of another |
//! | `readings` | what is read while it enforces |
//! | `holders`, `owners` | open connections with their slots, and the processes that have them |
//! | `listening` | sockets that listen in the attached cgroups |
//! | `indices` | which index a zone or a server has in the kernel |
//! | `divert` | sockets that refused attempts are brought to |
//! | `scope` | which sockets belong to the attached cgroups |
//! | `netns`, [`sock_diag`] | network namespaces, and the sockets in them |
//! | `run_time` | how long the programs have run |
//! | `syscall`, `twin` | bpf(2), and a map like another one |
//! | `privilege` | what the process may do |

mod adopt;
mod attachment;
mod audit;
mod btf;
mod cgroup;
mod change;
mod compile;
mod divert;
mod error;
mod events;
pub mod foreign;
mod held_syns;
mod holders;
mod indices;
mod interface;
mod iterator;
mod layout;
mod left;
mod link;
mod listening;
mod machine;
mod netns;
mod networks;
mod object;
mod owners;
pub mod pins;
mod policy;
mod privilege;
mod raw;
mod readings;
mod run_time;
mod scope;
pub mod sock_diag;
mod start;
mod syscall;
mod twin;
mod upstreams;
mod zones;

use std::path::Path;

use aya::Ebpf;

pub use self::{
    adopt::Adopted,
    attachment::{Attachment, Place},
    audit::{AuditPass, Audited, Counted, ZoneAudit, ZoneCount},
    cgroup::{CgroupWatch, root as cgroup_root},
    change::{Applied, AppliedZone},
    divert::{Places, Target},
    error::KernelError,
    events::{EventStream, NewListeners},
    holders::{Holder, HolderReader},
    indices::{Indices, UpstreamIndices},
    interface::{AttachedInterface, InterfaceWatch, interface_names},
    listening::ListenerReader,
    netns::enter_that_of as enter_network_of,
    owners::{Owner, Owners},
    pins::Instance,
    privilege::{check as check_privileges, give_up as give_up_privileges},
    readings::ZoneReading,
    run_time::{Runs, Stopwatch},
    start::{How, Started},
    upstreams::UpstreamReadings,
    zones::{KeyReader, Origin, UntoldReader, possible_cpus},
};
use self::{
    adopt::Candidates,
    audit::{Desk, Suspects},
    cgroup::Cgroups,
    compile::Compiled,
    divert::Diversion,
    indices::ServerIndices,
    interface::Interfaces,
    interface::Transmitters,
    layout::layout,
    pins::{Pins, Record, RecordMap, RecordedServer},
    policy::PolicyMaps,
    upstreams::UpstreamMaps,
    zones::ZoneMaps,
};
use crate::policy::Policy;

/// The loaded and attached programs. Dropping it detaches everything that is not pinned.
pub struct Kernel {
    // Goes first: what refuses early must not outlive what counts.
    interfaces: Interfaces,
    transmitters: Transmitters,
    /// Removes what is pinned, if that is wanted.
    pins: Option<Pins>,
    record: RecordMap,
    /// The daemon's part of the record.
    books: serde_json::Value,
    cgroups: Cgroups,
    // Holds the programs; the maps below were taken from it.
    ebpf: Ebpf,
    policy: PolicyMaps,
    /// The policy in force.
    compiled: Compiled,
    indices: Indices,
    zones: ZoneMaps,
    servers: ServerIndices,
    upstreams: UpstreamMaps,
    candidates: Candidates,
    audit_desk: Desk,
    suspects: Suspects,
    /// Whether open connections hold what the policy in force asks for, and no more.
    is_settled: bool,
    diversion: Diversion,
}

impl Kernel {
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
        let pins = self.pins.as_ref();
        self.diversion
            .refresh(&mut self.ebpf, pins, &self.cgroups, policy)
    }

    /// Where maps and links are pinned.
    pub fn pinned_at(&self) -> Option<&Path> {
        self.pins.as_ref().map(Pins::directory)
    }

    /// Whether the kernel goes on counting and refusing when this is dropped, as it does if the
    /// process is killed. Only if there are pins.
    pub fn keep(&mut self, keep: bool) {
        if let Some(pins) = &mut self.pins {
            pins.stay(keep);
        }
    }

    /// Has the next daemon know these books.
    ///
    /// # Errors
    ///
    /// If the map cannot be written.
    pub fn set_books(&mut self, books: serde_json::Value) -> Result<(), KernelError> {
        self.books = books;
        self.write_record()
    }

    fn write_record(&self) -> Result<(), KernelError> {
        let servers = self.servers.names().iter();
        let outgoing = self.compiled.outgoing().programs().iter();
        self.record.write(&Record {
            layout: layout().all,
            counters: layout().counters,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cgroups: self.cgroups.paths(),
            counted: self.cgroups.counted(),
            zones: self.zones.record(),
            servers: servers
                .map(|(name, index)| RecordedServer {
                    index: *index,
                    name: name.clone(),
                })
                .collect(),
            upstreams: self.upstreams.record(),
            outgoing: outgoing.map(|&program| program.to_owned()).collect(),
            books: self.books.clone(),
        })
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
        self.cgroups
            .attachments()
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
        let changed = self.interfaces.refresh(self.pins.as_ref())?;
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
}
