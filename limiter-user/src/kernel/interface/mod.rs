//! The XDP program on the interfaces of the policy.
//!
//! An interface is known by its name: the program is attached to whichever device has the name at
//! the moment. Whenever a device changes, [`Interfaces::refresh`] looks at every name again.
//!
//! | room | holds |
//! |---|---|
//! | `attach` | attaching to one device |
//! | `bpf_link` | the system call that attaches |
//! | `device` | one device, as rtnetlink shows it |
//! | `refusal` | why it cannot be attached, and what to do |
//! | `transmit` | where the program may answer |
//! | `watch` | waiting for changes of devices |

mod attach;
mod bpf_link;
mod device;
mod refusal;
mod transmit;
mod watch;

use aya::programs::Xdp;
use limiter_common::names::PROGRAM_XDP;

pub(super) use self::transmit::Transmitters;
pub use self::watch::InterfaceWatch;
use self::{
    attach::{Link, Program, attach},
    device::Device,
    refusal::{OPERATION, Refusal},
    watch::Subscription,
};
use super::{
    attachment::{Attachment, Place},
    error::{Context, KernelError},
};
use crate::policy::{Interface, XdpMode};

/// A device that the program is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachedInterface {
    /// Index of the device, as the program sees it (`ingress_ifindex`).
    pub index: u32,
    /// Native or generic.
    pub mode: XdpMode,
    /// Whether the program's replies (XDP_TX) leave the device.
    pub can_transmit: bool,
}

/// The interfaces of the policy, in its order. Dropping it detaches from all.
pub(super) struct Interfaces {
    program: Program,
    slots: Vec<Slot>,
    /// How many slots at the end are not part of a policy yet.
    added: usize,
    subscription: Option<Subscription>,
}

impl Interfaces {
    /// Attaches the loaded program to every interface that is there.
    ///
    /// # Errors
    ///
    /// If the program cannot be attached to one of them. Nothing stays attached then.
    pub(super) fn attach<'a>(
        program: &Xdp,
        wanted: impl Iterator<Item = &'a Interface>,
    ) -> Result<Self, KernelError> {
        let mut interfaces = Self {
            program: Program::new(program)?,
            slots: Vec::new(),
            added: 0,
            // Before the first look, so that no change is missed.
            subscription: Some(Subscription::new()?),
        };
        interfaces.add(wanted)?;
        interfaces.added = 0;
        for slot in &mut interfaces.slots {
            slot.report();
        }
        Ok(interfaces)
    }

    /// Attaches to those of these interfaces that no earlier policy has named, if they are there.
    /// Followed by [`Self::keep_only`] or [`Self::withdraw`].
    ///
    /// # Errors
    ///
    /// If the program cannot be attached to one of them. Everything is as before then.
    pub(super) fn add<'a>(
        &mut self,
        wanted: impl Iterator<Item = &'a Interface>,
    ) -> Result<(), KernelError> {
        for wanted in wanted {
            if self.slots.iter().any(|it| it.wanted.name == wanted.name) {
                continue;
            }
            let mut slot = Slot::new(wanted);
            let attached = slot.attach(&self.program).and_then(|()| match &slot.state {
                State::Refused { error, .. } => Err(error.clone()),
                State::Attached(_) | State::Absent => Ok(()),
            });
            if let Err(error) = attached {
                self.withdraw();
                return Err(error);
            }
            self.slots.push(slot);
            self.added += 1;
        }
        Ok(())
    }

    /// Detaches from those that were added last.
    pub(super) fn withdraw(&mut self) {
        self.slots.truncate(self.slots.len() - self.added);
        self.added = 0;
    }

    /// Detaches from all but these. One that is to have another mode is attached anew, at the next
    /// [`Self::refresh`].
    pub(super) fn keep_only<'a>(&mut self, wanted: impl Iterator<Item = &'a Interface>) {
        self.added = 0;
        let mut before = std::mem::take(&mut self.slots);
        for wanted in wanted {
            let known = before.iter().position(|it| it.wanted == *wanted);
            let slot = match known {
                Some(position) => before.swap_remove(position),
                None => Slot::new(wanted),
            };
            self.slots.push(slot);
        }
    }

    /// The changes of devices since the start; can be taken once, on the runtime.
    pub(super) fn take_watch(&mut self) -> Result<InterfaceWatch, KernelError> {
        let subscription = self.subscription.take();
        subscription
            .ok_or_else(|| KernelError::new("watch", "the interfaces", "taken before"))?
            .into_watch()
    }

    /// Looks at every interface again: detaches from devices that lost their name, attaches to
    /// those that have it now. Returns what has changed.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell what is there. That an interface refuses the program is no
    /// error: it is waited for.
    pub(super) fn refresh(&mut self) -> Result<Vec<Attachment>, KernelError> {
        // First of all: another slot may wait for the same device under its new name.
        for slot in &mut self.slots {
            slot.detach_if_stale(&self.program)?;
        }
        for slot in &mut self.slots {
            slot.attach(&self.program)?;
        }
        Ok(self.slots.iter_mut().filter_map(Slot::report).collect())
    }

    /// Every interface, whether attached or waited for.
    pub(super) fn attachments(&self) -> impl Iterator<Item = Attachment> {
        self.slots.iter().map(Slot::attachment)
    }

    /// The devices that the program is attached to.
    pub(super) fn attached(&self) -> impl Iterator<Item = AttachedInterface> {
        self.slots.iter().filter_map(|slot| match &slot.state {
            State::Attached(link) => Some(link.interface),
            State::Absent | State::Refused { .. } => None,
        })
    }
}

/// Names of all interfaces that there are.
pub fn interface_names() -> Vec<String> {
    let interfaces = nix::net::if_::if_nameindex();
    interfaces.map_or_else(
        |_| Vec::new(),
        |interfaces| {
            let names = interfaces.iter().map(|one| one.name().to_string_lossy());
            names.map(Into::into).collect()
        },
    )
}

/// One interface of the policy.
struct Slot {
    wanted: Interface,
    state: State,
    /// Device and attachment when they were last reported.
    reported: Option<(Option<u32>, Attachment)>,
}

enum State {
    Attached(Link),
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
    fn new(wanted: &Interface) -> Self {
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
    fn detach_if_stale(&mut self, program: &Program) -> Result<(), KernelError> {
        if let State::Attached(link) = &self.state {
            let device = self.find()?;
            let good =
                device.is_some_and(|it| it.index == link.interface.index && it.runs(program.id));
            if !good {
                self.state = State::Absent;
            }
        }
        Ok(())
    }

    /// Attaches if there is a device that has not refused yet.
    fn attach(&mut self, program: &Program) -> Result<(), KernelError> {
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
        self.state = match attach(&self.wanted, &device, program) {
            Ok(link) => State::Attached(link),
            Err(Refusal::Gone) => State::Absent,
            Err(Refusal::Refused(error, device)) => State::Refused { error, device },
        };
        Ok(())
    }

    /// What it is attached to, if that is worth another line in the log.
    fn report(&mut self) -> Option<Attachment> {
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

    fn attachment(&self) -> Attachment {
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
