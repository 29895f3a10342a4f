//! How a daemon begins: from nothing, with what another one has left, or beside it.
//!
//! | what is pinned | then |
//! |---|---|
//! | nothing | the programs are loaded and attached, what is open is adopted |
//! | all maps and links, of this layout, for cgroups with the same paths | maps, links and counts are taken over. The programs are put in place of the old ones, link by link, so nobody gets by; only to cgroups that have appeared meanwhile they are attached anew |
//! | anything else | a second set is made beside the first, and adopts what is open; only when it counts and refuses, the first one is removed |

use aya::{Ebpf, programs::Xdp};
use limiter_common::names::{PROGRAM_ENFORCE, PROGRAM_XDP};

use super::{
    Kernel,
    adopt::Candidates,
    audit::{Desk, Suspects},
    cgroup::Cgroups,
    change::{Applied, AppliedZone},
    compile::{self, Compiled},
    divert::Diversion,
    error::KernelError,
    indices::{Indices, ServerIndices},
    interface::{Interfaces, Transmitters},
    left::{Counted, Left},
    object,
    pins::{Instance, Pins, Record, RecordMap},
    policy::PolicyMaps,
    privilege,
    upstreams::UpstreamMaps,
    zones::{Origin, Placed, ZoneMaps},
};
use crate::policy::{LogLevel, Policy, Zone};

/// How a daemon began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// There was nothing.
    Fresh,
    /// With what another daemon has left.
    TakenOver,
    /// In place of what another daemon has left, which could not be taken over.
    InPlace {
        /// Why not.
        why: String,
        /// Whether the zones' counters could be read, and go on.
        carried: bool,
    },
}

/// A kernel that enforces.
pub struct Started {
    /// It.
    pub kernel: Kernel,
    /// What came of the policy.
    pub applied: Applied,
    /// Books of the daemon before, as it has written them.
    pub books: serde_json::Value,
    /// How it began.
    pub how: How,
}

impl Kernel {
    /// Loads the programs, makes the zones, writes the policy, attaches to every cgroup of the
    /// policy that is there (the root of the cgroup2 hierarchy if it names none), counts open
    /// connections, and attaches to the interfaces of the policy that are there. Enforcement is in force when this
    /// returns. What it makes is pinned under the name of the instance, if there is one and a bpf
    /// filesystem; what is pinned there is taken over.
    ///
    /// # Errors
    ///
    /// What was not there before is not there then. That a cgroup or an interface is missing is no
    /// error.
    pub fn start(policy: &Policy, instance: Option<&Instance>) -> Result<Started, KernelError> {
        privilege::check()?;
        privilege::raise_descriptor_limit()?;
        let cgroups = Cgroups::open(policy)?;
        compile::check(policy)?;
        let pins = match instance {
            Some(instance) => Pins::open(instance)?,
            None => None,
        };
        let Some(pins) = pins else {
            return Self::fresh(policy, cgroups, None, None);
        };
        warn_of_others(&pins, &cgroups);
        if pins.is_empty() {
            return Self::fresh(policy, cgroups, Some(pins), None);
        }
        match Left::look(&pins, &cgroups) {
            Left::Whole(record) => Self::take_over(policy, cgroups, pins, record),
            Left::Other { why, counted } => Self::beside(policy, cgroups, pins, why, counted),
        }
    }

    /// There is nothing yet, or what there is stays as it is. `counted` is what it counts, for the
    /// counters to go on.
    fn fresh(
        policy: &Policy,
        mut cgroups: Cgroups,
        mut pins: Option<Pins>,
        counted: Option<&Counted>,
    ) -> Result<Started, KernelError> {
        // Until it is complete.
        if let Some(pins) = &mut pins {
            pins.stay(false);
        }
        let mut ebpf = load(policy, pins.as_ref())?;
        let mut zones = ZoneMaps::take(&mut ebpf)?;
        let mut servers = ServerIndices::new();
        let mut upstreams = UpstreamMaps::take(&mut ebpf, &[])?;
        let placed = zones.place(&policy.zones)?;
        let indices = Indices {
            zones: placed.iter().map(|one| one.index).collect(),
            servers: servers.assign(policy.servers.iter().map(|it| it.name.as_str()))?,
            upstreams: upstreams.assign(policy)?,
        };
        let compiled = compile::compile(policy, &indices)?;
        let policy_maps = PolicyMaps::write(&mut ebpf, &compiled)?;
        object::load_programs(&mut ebpf)?;
        cgroups.load_outgoing(&mut ebpf);

        // Count first, so that from here on no connection is missed; then add those that were
        // open before; refuse only when the counts are true.
        cgroups.count(&ebpf, pins.as_ref());
        cgroups.outgoing(compiled.outgoing(), &ebpf, pins.as_ref())?;
        cgroups.check()?;
        let mut candidates = Candidates::take(&mut ebpf)?;
        let adopted = candidates.adopt(&mut ebpf, &cgroups.scope(), &compiled, None)?;
        let applied_zones = carry(policy, &placed, &zones, counted)?;
        cgroups.enforce(&ebpf, pins.as_ref());
        cgroups.check()?;
        // Whoever comes or goes from here on is news.
        cgroups.report();
        let mut diversion = Diversion::new(&mut ebpf)?;
        diversion.refresh(&mut ebpf, pins.as_ref(), &cgroups, policy)?;
        let interfaces = interfaces(&mut ebpf, policy, pins.as_ref())?;
        let mut transmitters = Transmitters::take(&mut ebpf)?;
        transmitters.set(interfaces.attached())?;
        let kernel = Self {
            interfaces,
            transmitters,
            pins,
            record: RecordMap::take(&mut ebpf)?,
            books: serde_json::Value::Null,
            cgroups,
            policy: policy_maps,
            compiled,
            indices,
            zones,
            servers,
            upstreams,
            candidates,
            audit_desk: Desk::take(&mut ebpf)?,
            suspects: Suspects::default(),
            ebpf,
            is_settled: true,
            diversion,
        };
        kernel.write_record()?;
        Ok(Started {
            kernel,
            applied: Applied {
                zones: applied_zones,
                adopted,
            },
            books: counted.map_or(serde_json::Value::Null, |it| it.books().clone()),
            how: How::Fresh,
        })
    }

    /// Goes on where another daemon has ended.
    fn take_over(
        policy: &Policy,
        mut cgroups: Cgroups,
        pins: Pins,
        record: Record,
    ) -> Result<Started, KernelError> {
        let mut ebpf = load(policy, Some(&pins))?;
        let names = record.servers.into_iter().map(|it| (it.name, it.index));
        let servers = ServerIndices::take_over(names.collect());
        let policy_maps = PolicyMaps::take_over(&mut ebpf)?;
        let known: Vec<u16> = servers.names().iter().map(|(_, index)| *index).collect();
        let in_force = policy_maps.zones_in_force(&known)?;
        let zones = ZoneMaps::take_over(&mut ebpf, &record.zones, &in_force)?;
        let upstreams = UpstreamMaps::take(&mut ebpf, &record.upstreams)?;
        object::load_programs(&mut ebpf)?;
        cgroups.load_outgoing(&mut ebpf);
        // From here on our programs run, with the maps and the policy of before.
        cgroups.take_over(&ebpf, &pins)?;
        let diversion = Diversion::new(&mut ebpf)?;
        let interfaces = interfaces(&mut ebpf, policy, Some(&pins))?;
        let mut kernel = Self {
            interfaces,
            transmitters: Transmitters::take(&mut ebpf)?,
            pins: Some(pins),
            record: RecordMap::take(&mut ebpf)?,
            books: record.books.clone(),
            cgroups,
            policy: policy_maps,
            // What the old policy counted is known by the tokens of the sockets.
            compiled: Compiled::nothing(),
            indices: Indices::default(),
            zones,
            servers,
            upstreams,
            candidates: Candidates::take(&mut ebpf)?,
            audit_desk: Desk::take(&mut ebpf)?,
            suspects: Suspects::default(),
            is_settled: false,
            diversion,
            ebpf,
        };
        let applied = kernel.apply(policy)?;
        // Where nobody was refused before: now what is open counts.
        kernel.cgroups.enforce(&kernel.ebpf, kernel.pins.as_ref());
        kernel.cgroups.check()?;
        kernel.cgroups.report();
        kernel.transmitters.set(kernel.interfaces.attached())?;
        Ok(Started {
            kernel,
            applied,
            books: record.books,
            how: How::TakenOver,
        })
    }

    /// Begins beside what another daemon has left, and then takes its place. Until then both count
    /// what is established, each for itself, and what is open is adopted; the old one refuses alone
    /// before the new one knows of all, and then both do.
    fn beside(
        policy: &Policy,
        cgroups: Cgroups,
        old: Pins,
        why: String,
        counted: Option<Counted>,
    ) -> Result<Started, KernelError> {
        let new = old.beside()?;
        let mut started = Self::fresh(policy, cgroups, Some(new), counted.as_ref())?;
        if let Some(new) = &mut started.kernel.pins {
            new.take_place_of(old)?;
        }
        let carried = counted.is_some();
        Ok(Started {
            how: How::InPlace { why, carried },
            ..started
        })
    }
}

/// They have no daemon: nobody else has one of these cgroups.
fn warn_of_others(pins: &Pins, cgroups: &Cgroups) {
    for cgroup in cgroups.there() {
        for other in pins.others_at(PROGRAM_ENFORCE, cgroup.id()) {
            tracing::warn!(
                "instance {other}, which has no daemon any more, goes on refusing at {} as well; \
                 `limiter detach --instance {other}` ends that",
                cgroup.path.display()
            );
        }
    }
}

/// Where each zone comes from. Read at one moment, when both sets count and the new one is about to
/// refuse: what is counted before is the old one's, what is counted after is the new one's.
fn carry(
    policy: &Policy,
    placed: &[Placed],
    zones: &ZoneMaps,
    counted: Option<&Counted>,
) -> Result<Vec<AppliedZone>, KernelError> {
    let one = |(zone, placed): (&Zone, &Placed)| {
        let Some(past) = counted.and_then(|counted| counted.of(zone)) else {
            return Ok(AppliedZone::new(Origin::New));
        };
        Ok(AppliedZone {
            origin: Origin::Carried,
            start: zones.read_counters(placed.index)?,
            past,
        })
    };
    policy.zones.iter().zip(placed).map(one).collect()
}

fn load(policy: &Policy, pins: Option<&Pins>) -> Result<Ebpf, KernelError> {
    object::load(policy.error_log.level == LogLevel::Debug, pins)
}

fn interfaces(
    ebpf: &mut Ebpf,
    policy: &Policy,
    pins: Option<&Pins>,
) -> Result<Interfaces, KernelError> {
    let xdp = object::program::<Xdp>(ebpf, PROGRAM_XDP)?;
    Interfaces::attach(xdp, policy.interfaces(), pins)
}
