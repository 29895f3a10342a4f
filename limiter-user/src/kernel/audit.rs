//! The audit: who holds slots is counted again, and compared with the counts.
//!
//! | step | by whom | what |
//! |---|---|---|
//! | 1. [`Kernel::begin_audit`] | whoever has the kernel's side | tells the programs the number of the pass, and waits until none runs that does not know it |
//! | 2. [`AuditPass::run`] | anybody | has the kernel walk all tokens, then reads every key, with both counts |
//! | 3. [`Kernel::end_audit`] | whoever has the kernel's side | ends the pass, and corrects what differed in the pass before, too |
//!
//! How the programs count again is told in [`limiter_common::admission`]. A change of the policy puts an
//! end to a pass, which then means nothing.

mod pass;
mod suspects;

use std::os::fd::AsFd as _;

use aya::{
    Btf, Ebpf,
    maps::{Array, MapData},
    programs::{Iter, Xdp},
};
use limiter_common::{
    admission::Difference,
    audit::{AuditDesk, CONNECTIONS, Correction, LIVE, SLOTS},
    names::{MAP_AUDIT, MAP_TOKENS, PROGRAM_AUDIT, PROGRAM_CORRECT},
};

use self::pass::CountedZone;
pub use self::pass::{AuditPass, Counted, ZoneCount};
pub(super) use self::suspects::Suspects;
use super::{
    Kernel, adopt,
    error::{Context, KernelError},
    object,
    policy::take,
    raw::Raw,
    syscall::run_once,
};

/// What came of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// Of each zone of the policy in force.
    pub zones: Vec<ZoneAudit>,
    /// Slots that open connections held of entries that were gone: they hold new ones now.
    pub lost: u64,
    /// Whether a connection was closed at the very moment at which it was counted: then what differs
    /// proves nothing, and was left as it is.
    pub has_collided: bool,
}

/// What came of one zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneAudit {
    /// Both counts.
    pub count: ZoneCount,
    /// By how many slots counts differ for the first time: if they do so in the next pass, too, they
    /// are corrected.
    pub suspected: u64,
    /// By how many slots counts were corrected.
    pub corrected: u64,
    /// By how much the number of slots that are taken was corrected, which nothing but the status tells.
    pub slots_corrected: u64,
    /// By how much the number of live keys was corrected.
    pub live_corrected: u64,
    /// By how much the number of keys in the map was corrected.
    pub entries_corrected: u64,
}

/// Has the kernel verify the programs.
pub(super) fn load(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), KernelError> {
    let audit = object::program::<Iter>(ebpf, PROGRAM_AUDIT)?;
    object::verify(PROGRAM_AUDIT, audit.load("bpf_sk_storage_map", btf))?;
    let correct = object::program::<Xdp>(ebpf, PROGRAM_CORRECT)?;
    object::verify(PROGRAM_CORRECT, correct.load())
}

/// Where the daemon says what is to be corrected.
pub(super) struct Desk(Array<MapData, Raw<AuditDesk>>);

impl Desk {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        take(ebpf, MAP_AUDIT).map(Self)
    }

    fn read(&self) -> Result<AuditDesk, KernelError> {
        let desk = self.0.get(&0, 0).context("read map", MAP_AUDIT)?;
        Ok(desk.0)
    }

    fn put(&mut self, correction: Correction) -> Result<(), KernelError> {
        let desk = AuditDesk {
            correction,
            ..self.read()?
        };
        self.write(desk)
    }

    /// Says which zones are [`AuditDesk::full`].
    fn set_full(&mut self, zones: &[u16]) -> Result<(), KernelError> {
        let before = self.read()?;
        let mut desk = AuditDesk {
            full: Default::default(),
            ..before
        };
        for zone in zones {
            desk.full[usize::from(zone / 64)] |= 1 << (zone % 64);
        }
        if desk == before {
            return Ok(());
        }
        self.write(desk)
    }

    fn write(&mut self, desk: AuditDesk) -> Result<(), KernelError> {
        self.0.set(0, Raw(desk), 0).context("write map", MAP_AUDIT)
    }
}

impl Kernel {
    /// Begins a pass. One that was going on means nothing any more.
    ///
    /// # Errors
    ///
    /// If a map cannot be written, or there is no descriptor left.
    pub fn begin_audit(&mut self) -> Result<AuditPass, KernelError> {
        let pass = AuditPass::new(
            object::descriptor(&self.ebpf, PROGRAM_AUDIT)?,
            object::storage(&self.ebpf, MAP_TOKENS)?,
            &self.zones,
            &self.indices.zones,
        )?;
        let number = self.policy.begin_pass()?;
        self.zones.wait_for_programs()?;
        Ok(pass.with_number(number, self.audit_desk.read()?))
    }

    /// Ends a pass, and corrects what differed twice. None: the policy was changed meanwhile, and
    /// nothing can be said.
    ///
    /// # Errors
    ///
    /// If a map cannot be written or a program not be run.
    pub fn end_audit(
        &mut self,
        pass: &AuditPass,
        counted: Option<Counted>,
    ) -> Result<Option<Audited>, KernelError> {
        let desk = self.audit_desk.read()?;
        if !self.policy.end_pass(pass.number)? {
            return Ok(None);
        }
        let Some(counted) = counted else {
            return Ok(None);
        };
        let mut audited = Audited {
            zones: Vec::new(),
            lost: desk.lost.wrapping_sub(pass.before.lost),
            has_collided: desk.collisions != pass.before.collisions,
        };
        let full: Vec<u16> = counted.zones.iter().filter_map(CountedZone::full).collect();
        for zone in counted.zones {
            let mut audit = ZoneAudit {
                count: zone.count,
                ..ZoneAudit::default()
            };
            let confirmed = if audited.has_collided {
                Vec::new()
            } else {
                self.suspects.confirm(zone.index, &zone.differences)
            };
            for correction in confirmed {
                let by = u64::from(self.correct(correction)?.unsigned_abs());
                match correction.count {
                    CONNECTIONS => audit.corrected += by,
                    SLOTS => audit.slots_corrected += by,
                    LIVE => audit.live_corrected += by,
                    _ => audit.entries_corrected += by,
                }
            }
            audit.suspected = self.suspects.slots_of(zone.index);
            audited.zones.push(audit);
        }
        self.suspects.keep_only(&self.indices.zones);
        self.audit_desk.set_full(&full)?;
        if audited.lost > 0 {
            adopt::settle(&mut self.ebpf)?;
        }
        Ok(Some(audited))
    }

    fn correct(&mut self, correction: Correction) -> Result<Difference, KernelError> {
        self.audit_desk.put(correction)?;
        let program = object::descriptor(&self.ebpf, PROGRAM_CORRECT)?;
        let by = run_once(program.as_fd()).context("run program", PROGRAM_CORRECT)?;
        Ok(by as Difference)
    }
}
