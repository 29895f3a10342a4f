//! One policy takes the place of another, while connections come and go.
//!
//! | step | what counts | what refuses |
//! |---|---|---|
//! | 1. the new policy is written into the idle half, its zones are made | old | old |
//! | 2. it is announced; programs that do not know yet come to their end | old and new | old |
//! | 3. every open connection is covered: it takes the slots that the new policy asks for | old and new | old |
//! | 4. the switch, in one write; programs that do not know yet come to their end | new | new |
//! | 5. every open connection is trimmed: it gives back the slots that only the old one asked for | new | new |
//!
//! What is established between 2 and 4 is charged for both as it comes, so at the switch nothing is
//! open that the new policy has not counted. If anything fails before the switch, the announcement is
//! withdrawn and the connections are trimmed to the old policy. Where both policies count alike, the
//! switch is all.

use limiter_common::counters::ZoneCounters;

use super::{
    Kernel,
    adopt::{self, Adopted},
    cgroup::Outgoing,
    compile::{self, Compiled},
    error::KernelError,
    indices::{Indices, UpstreamIndices},
    zones::{Origin, Placed},
};
use crate::policy::Policy;

/// What came of a change of the policy.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Of each zone of the new policy.
    pub zones: Vec<AppliedZone>,
    /// Connections that no server counted before.
    pub adopted: Adopted,
}

/// What came of one zone.
#[derive(Clone, Copy, Debug)]
pub struct AppliedZone {
    /// Where it comes from.
    pub origin: Origin,
    /// Its counters when it began. (Those of another zone, which had the index before.)
    pub start: ZoneCounters,
    /// The last counters of the zone whose place it took, if there was one.
    pub past: ZoneCounters,
}

impl AppliedZone {
    /// One that has counted nothing.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            start: ZoneCounters::default(),
            past: ZoneCounters::default(),
        }
    }
}

impl Kernel {
    /// Puts another policy in force, in one switch. Zones and servers are known by their names.
    ///
    /// # Errors
    ///
    /// The old policy stays in force then.
    pub fn apply(&mut self, policy: &Policy) -> Result<Applied, KernelError> {
        compile::check(policy)?;
        self.cgroups.check_unchanged(policy)?;
        // Those that are new, before anything is in force; those that are gone, when it is.
        let pins = self.pins.as_ref();
        self.interfaces.add(policy.interfaces(), pins)?;
        let result = self.apply_to_zones(policy);
        match &result {
            Ok(_) => self
                .interfaces
                .keep_only(policy.interfaces(), self.pins.as_ref()),
            Err(_) => self.interfaces.withdraw(),
        }
        result
    }

    fn apply_to_zones(&mut self, policy: &Policy) -> Result<Applied, KernelError> {
        let names = policy.servers.iter().map(|server| server.name.as_str());
        let servers = self.servers.assign(names)?;
        let upstreams = self.upstreams.assign(policy)?;
        let placed = self.zones.place(&policy.zones);
        let result = placed.and_then(|placed| {
            let result = self.apply_placed(policy, &placed, servers, upstreams);
            if result.is_err() {
                self.zones.discard(&placed);
            }
            result
        });
        // Of the policy that is in force now, whichever it is.
        self.servers.keep_only(&self.indices.servers);
        self.upstreams.keep_only(&self.indices.upstreams);
        if let Err(error) = self.write_record() {
            tracing::warn!("{error}");
        }
        result
    }

    fn apply_placed(
        &mut self,
        policy: &Policy,
        placed: &[Placed],
        servers: Vec<u16>,
        upstreams: UpstreamIndices,
    ) -> Result<Applied, KernelError> {
        let indices = Indices {
            zones: placed.iter().map(|one| one.index).collect(),
            servers,
            upstreams,
        };
        let compiled = compile::compile(policy, &indices)?;
        let start: Vec<ZoneCounters> = placed
            .iter()
            .map(|one| self.zones.read_counters(one.index))
            .collect::<Result<_, _>>()?;
        // Before a program wants it; what is not wanted any more does no harm for a moment.
        self.follow_listeners(policy)?;
        self.policy.prepare(&compiled)?;
        if compiled.outgoing() != Outgoing::Ignored {
            // Counts when the policy is announced.
            let pins = self.pins.as_ref();
            self.cgroups
                .outgoing(compiled.outgoing(), &self.ebpf, pins)?;
        }
        // Whoever comes after a sudden end has to know what there is.
        self.write_record()?;
        let counts_alike = self.is_settled && compiled.counts_alike(&self.compiled);
        let mut adopted = Adopted::default();
        if !counts_alike {
            match self.cover(&compiled) {
                Ok(found) => adopted = found,
                Err(error) => {
                    self.take_back();
                    return Err(error);
                }
            }
        }
        if let Err(error) = self.policy.switch() {
            self.take_back();
            return Err(error);
        }
        // No way back from here.
        self.compiled = compiled;
        self.indices = indices;
        if !counts_alike {
            self.trim();
        } else if let Err(error) = self.zones.wait_for_programs() {
            // In force all the same.
            tracing::error!("{error}");
        }
        if self.compiled.outgoing() == Outgoing::Ignored {
            let pins = self.pins.as_ref();
            // Nothing is attached, so nothing can fail.
            let _ = self.cgroups.outgoing(Outgoing::Ignored, &self.ebpf, pins);
        }
        let past = |one: &Placed| match one.origin {
            Origin::Resized { from } => self.zones.read_counters(from),
            Origin::Kept | Origin::Carried | Origin::OtherKey | Origin::New => {
                Ok(ZoneCounters::default())
            }
        };
        let past: Vec<_> = placed.iter().map(past).collect();
        self.zones.keep_only(&self.indices.zones);
        let zones = placed.iter().zip(start).zip(past);
        let zones = zones.map(|((one, start), past)| AppliedZone {
            origin: one.origin,
            start,
            // Read a moment ago at the same place.
            past: past.unwrap_or_default(),
        });
        Ok(Applied {
            zones: zones.collect(),
            adopted,
        })
    }

    /// Has every open connection charged for what the next policy asks.
    fn cover(&mut self, next: &Compiled) -> Result<Adopted, KernelError> {
        self.is_settled = false;
        self.policy.announce()?;
        self.zones.wait_for_programs()?;
        if next.counts_as_many_as(&self.compiled) {
            adopt::settle(&mut self.ebpf)?;
            return Ok(Adopted::default());
        }
        let before = Some(&self.compiled);
        self.candidates
            .adopt(&mut self.ebpf, &self.cgroups.scope(), next, before)
    }

    /// The policy in force stays.
    fn take_back(&mut self) {
        if let Err(error) = self.policy.withdraw() {
            tracing::error!("{error}");
            return;
        }
        self.trim();
    }

    /// Has every open connection hold what the policy in force asks for, and no more. If that fails,
    /// the next change does it.
    fn trim(&mut self) {
        self.is_settled = false;
        let trimmed = self
            .zones
            .wait_for_programs()
            .and_then(|()| adopt::settle(&mut self.ebpf));
        match trimmed {
            Ok(()) => self.is_settled = true,
            Err(error) => tracing::error!(
                "{error}; connections may count for what an earlier policy asked until they are \
                 closed or the policy changes again"
            ),
        }
    }
}
