//! One cgroup of the policy, whether it is there or not.

use std::path::PathBuf;

use aya::Ebpf;
use limiter_common::names::{
    PROGRAM_CONNECT4, PROGRAM_CONNECT6, PROGRAM_COUNT, PROGRAM_ENFORCE, PROGRAM_HOLD,
    PROGRAM_RELEASE,
};

use super::{directory::Cgroup, lingering::Lingering};
use crate::kernel::{
    attachment::{Attachment, Place},
    error::KernelError,
    link::Link,
    pins::Pins,
};

/// See the module.
pub(super) struct Slot {
    /// Canonical.
    pub(super) path: PathBuf,
    present: Option<Present>,
    /// Why it is not limited, if not because it is not there.
    pub(super) error: Option<KernelError>,
    /// Cgroup and attachment when they were last reported.
    reported: Option<(Option<u64>, Attachment)>,
}

/// A cgroup that is there, and what is attached to it.
struct Present {
    /// Goes first: what refuses must not outlive what counts.
    enforce: Option<Link>,
    count: Option<Link>,
    /// What counts and refuses outgoing connections, if an upstream is there.
    outgoing: Vec<(&'static str, Link)>,
    cgroup: Cgroup,
}

/// What is done about outgoing connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) enum Outgoing {
    /// Nothing.
    Ignored,
    /// They are counted and refused.
    Counted,
    /// They may wait, too.
    Queued,
}

impl Outgoing {
    /// The programs, in the order in which they are attached: what gives back and holds before what
    /// takes.
    pub(in crate::kernel) fn programs(self) -> &'static [&'static str] {
        const QUEUED: [&str; 4] = [
            PROGRAM_RELEASE,
            PROGRAM_HOLD,
            PROGRAM_CONNECT4,
            PROGRAM_CONNECT6,
        ];
        const COUNTED: [&str; 3] = [PROGRAM_RELEASE, PROGRAM_CONNECT4, PROGRAM_CONNECT6];
        match self {
            Self::Ignored => &[],
            Self::Counted => &COUNTED,
            Self::Queued => &QUEUED,
        }
    }
}

impl Slot {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            present: None,
            error: None,
            reported: None,
        }
    }

    /// The cgroup, if it is there.
    pub(super) fn cgroup(&self) -> Option<&Cgroup> {
        self.present.as_ref().map(|present| &present.cgroup)
    }

    /// The cgroup if it counts, but does not refuse yet.
    pub(super) fn only_counting(&self) -> Option<&Cgroup> {
        let present = self.present.as_ref()?;
        (present.count.is_some() && present.enforce.is_none()).then_some(&present.cgroup)
    }

    /// Leaves a cgroup that was removed, and opens and locks one that has appeared.
    pub(super) fn look(&mut self, lingering: &mut Lingering) {
        if let Some(Present {
            cgroup,
            count,
            enforce,
            outgoing,
        }) = self.present.take_if(|present| !present.cgroup.is_there())
        {
            let links = [(PROGRAM_COUNT, count), (PROGRAM_ENFORCE, enforce)];
            for (program, link) in outgoing {
                lingering.add(program, cgroup.id(), link);
            }
            for (program, link) in links {
                if let Some(link) = link {
                    lingering.add(program, cgroup.id(), link);
                }
            }
        }
        if self.present.is_some() {
            return;
        }
        let opened = match Cgroup::find(&self.path) {
            Ok(Some(cgroup)) => cgroup.lock().map(|()| Some(cgroup)),
            other => other,
        };
        match opened {
            Ok(cgroup) => {
                self.present = cgroup.map(|cgroup| Present {
                    enforce: None,
                    count: None,
                    outgoing: Vec::new(),
                    cgroup,
                });
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Has its connections counted from here on.
    pub(super) fn count(&mut self, ebpf: &Ebpf, pins: Option<&Pins>, lingering: &mut Lingering) {
        if let Some(present) = &mut self.present
            && present.count.is_none()
        {
            let link = attach(ebpf, PROGRAM_COUNT, &present.cgroup, pins, lingering);
            self.error = keep(link, &mut present.count);
        }
    }

    /// Has the limits enforced, once what was open is counted.
    pub(super) fn enforce(&mut self, ebpf: &Ebpf, pins: Option<&Pins>, lingering: &mut Lingering) {
        if let Some(present) = &mut self.present
            && present.count.is_some()
            && present.enforce.is_none()
        {
            let link = attach(ebpf, PROGRAM_ENFORCE, &present.cgroup, pins, lingering);
            self.error = keep(link, &mut present.enforce);
        }
    }

    /// Puts our programs of outgoing connections in place of those that are pinned.
    pub(super) fn take_over_outgoing(
        &mut self,
        ebpf: &Ebpf,
        pins: &Pins,
        lingering: &mut Lingering,
    ) -> Result<(), KernelError> {
        let Some(present) = &mut self.present else {
            return Ok(());
        };
        for &program in Outgoing::Queued.programs() {
            if pins.link(program, present.cgroup.id()).exists() {
                let link = attach(ebpf, program, &present.cgroup, Some(pins), lingering)?;
                present.outgoing.extend(link.map(|link| (program, link)));
            }
        }
        Ok(())
    }

    /// Has its outgoing connections counted from here on, and refused as the policy says; or not any
    /// more. What gives back stays, and so does what holds: there may be sockets that hold a slot, or wait
    /// for one.
    pub(super) fn outgoing(
        &mut self,
        wanted: Outgoing,
        ebpf: &Ebpf,
        pins: Option<&Pins>,
        lingering: &mut Lingering,
    ) -> Result<(), KernelError> {
        let Some(present) = &mut self.present else {
            return Ok(());
        };
        if present.count.is_none() {
            return Ok(());
        }
        for &program in wanted.programs() {
            if !present.outgoing.iter().any(|(it, _)| *it == program) {
                let link = attach(ebpf, program, &present.cgroup, pins, lingering)?;
                present.outgoing.extend(link.map(|link| (program, link)));
            }
        }
        if wanted == Outgoing::Ignored {
            for program in [PROGRAM_CONNECT4, PROGRAM_CONNECT6] {
                present.outgoing.retain(|(it, _)| *it != program);
                if let Some(pins) = pins {
                    pins.remove_link(program, present.cgroup.id());
                }
            }
        }
        Ok(())
    }

    /// What is attached to it, if that is worth another line in the log.
    pub(super) fn report(&mut self) -> Option<Attachment> {
        let seen = Some((self.cgroup().map(Cgroup::id), self.attachment()));
        if self.reported == seen {
            return None;
        }
        self.reported = seen;
        Some(self.attachment())
    }

    pub(super) fn attachment(&self) -> Attachment {
        let place = Place::Cgroup(self.path.clone());
        let is_limited = |present: &Present| present.enforce.is_some();
        if self.present.as_ref().is_some_and(is_limited) {
            let outgoing = self.present.iter().flat_map(|it| &it.outgoing);
            let mut programs = vec![PROGRAM_COUNT, PROGRAM_ENFORCE];
            programs.extend(outgoing.map(|(program, _)| *program));
            return Attachment::plain(place, &programs);
        }
        let why = self.error.as_ref().map(|error| error.cause.clone());
        Attachment {
            waiting: Some(why.unwrap_or_else(|| "no such cgroup".to_owned())),
            ..Attachment::plain(place, &[])
        }
    }
}

/// None: the cgroup is gone.
fn attach(
    ebpf: &Ebpf,
    program: &'static str,
    cgroup: &Cgroup,
    pins: Option<&Pins>,
    lingering: &mut Lingering,
) -> Result<Option<Link>, KernelError> {
    if let Some(link) = lingering.take(program, cgroup.id()) {
        return Ok(Some(link));
    }
    match super::attach(ebpf, program, cgroup, pins) {
        Ok(link) => Ok(Some(link)),
        Err(_) if !cgroup.is_there() => Ok(None),
        Err(error) => Err(error),
    }
}

fn keep(link: Result<Option<Link>, KernelError>, place: &mut Option<Link>) -> Option<KernelError> {
    match link {
        Ok(link) => {
            *place = link;
            None
        }
        Err(error) => Some(error),
    }
}
