//! One cgroup of the policy, whether it is there or not.

use std::path::PathBuf;

use aya::Ebpf;
use limiter_common::names::{PROGRAM_COUNT, PROGRAM_ENFORCE};

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
    cgroup: Cgroup,
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
        }) = self.present.take_if(|present| !present.cgroup.is_there())
        {
            let links = [(PROGRAM_COUNT, count), (PROGRAM_ENFORCE, enforce)];
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
            return Attachment::plain(place, &[PROGRAM_COUNT, PROGRAM_ENFORCE]);
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
