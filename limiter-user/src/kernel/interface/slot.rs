//! One interface of the policy: attached, or waited for.

use std::path::Path;

use limiter_common::names::PROGRAM_XDP;

use super::{
    attach::{Attached, Program, attach},
    device::{self, Device},
    refusal::{OPERATION, Refusal},
};
use crate::{
    kernel::{
        attachment::{Attachment, Place},
        error::{Context, KernelError},
        pins::Pins,
    },
    policy::Interface,
};

/// One interface of the policy.
pub(super) struct Slot {
    pub(super) wanted: Interface,
    pub(super) state: State,
    /// Device and attachment when they were last reported.
    reported: Option<(Option<u32>, Attachment)>,
}

pub(super) enum State {
    Attached(Attached),
    /// No device has the name.
    Absent,
    Refused {
        error: KernelError,
        /// The device as it was then. It is not asked again as long as it is the same: a driver may
        /// reset a device when it is asked, which would be the next change.
        device: Option<Box<Device>>,
    },
}

impl Slot {
    pub(super) fn new(wanted: &Interface) -> Self {
        Self {
            wanted: wanted.clone(),
            state: State::Absent,
            reported: None,
        }
    }

    fn find(&self) -> Result<Option<Device>, KernelError> {
        device::find(&self.wanted.name).context(OPERATION, &self.wanted.name)
    }

    /// Detaches unless the device still has the name, and the program. A link of a device that was
    /// removed is dead.
    pub(super) fn detach_if_stale(&mut self, program: &Program) -> Result<(), KernelError> {
        if let State::Attached(link) = &self.state {
            let device = self.find()?;
            let good =
                device.is_some_and(|it| it.index == link.interface.index && it.runs(program.id));
            if !good {
                self.detach();
            }
        }
        Ok(())
    }

    pub(super) fn detach(&mut self) {
        if let State::Attached(attached) = std::mem::replace(&mut self.state, State::Absent) {
            attached.detach();
        }
    }

    /// Where its link is pinned.
    pub(super) fn pin(&self) -> Option<&Path> {
        match &self.state {
            State::Attached(attached) => attached.pin.as_deref(),
            State::Absent | State::Refused { .. } => None,
        }
    }

    /// Attaches if there is a device that has not refused yet.
    pub(super) fn attach(
        &mut self,
        program: &Program,
        pins: Option<&Pins>,
    ) -> Result<(), KernelError> {
        if let State::Attached(_) = self.state {
            return Ok(());
        }
        let Some(device) = self.find()? else {
            self.state = State::Absent;
            return Ok(());
        };
        if let State::Refused {
            device: Some(refused),
            ..
        } = &self.state
            && **refused == device
        {
            return Ok(());
        }
        self.state = match attach(&self.wanted, &device, program, pins) {
            Ok(attached) => State::Attached(attached),
            Err(Refusal::Gone) => State::Absent,
            Err(Refusal::Refused(error, device)) => State::Refused { error, device },
        };
        Ok(())
    }

    /// What it is attached to, if that is worth another line in the log.
    pub(super) fn report(&mut self) -> Option<Attachment> {
        let index = match &self.state {
            State::Attached(link) => Some(link.interface.index),
            State::Absent | State::Refused { .. } => None,
        };
        let seen = Some((index, self.attachment()));
        if self.reported == seen {
            return None;
        }
        self.reported = seen;
        Some(self.attachment())
    }

    pub(super) fn attachment(&self) -> Attachment {
        let waiting = Attachment {
            place: Place::Interface(self.wanted.name.clone()),
            programs: Vec::new(),
            mode: None,
            fallback: None,
            waiting: None,
        };
        match &self.state {
            State::Attached(link) => Attachment {
                programs: vec![PROGRAM_XDP],
                mode: Some(link.interface.mode),
                fallback: link.fallback.clone(),
                ..waiting
            },
            State::Absent => Attachment {
                waiting: Some("no such interface".to_owned()),
                ..waiting
            },
            State::Refused { error, .. } => Attachment {
                waiting: Some(error.cause.clone()),
                ..waiting
            },
        }
    }
}
