//! The XDP program on the interfaces of the policy.
//!
//! An interface is known by its name: the program is attached to whichever device has the name at
//! the moment. Whenever a device changes, [`Interfaces::refresh`] looks at every name again.
//!
//! | room | holds |
//! |---|---|
//! | `attach` | attaching to one device |
//! | `device` | one device, as rtnetlink shows it |
//! | `refusal` | why it cannot be attached, and what to do |
//! | `slot` | one interface of the policy |
//! | `transmit` | where the program may answer |
//! | `watch` | waiting for changes of devices |

mod attach;
mod device;
mod refusal;
mod slot;
mod transmit;
mod watch;

use aya::programs::Xdp;

pub(super) use self::transmit::Transmitters;
pub use self::watch::InterfaceWatch;
use self::{
    attach::Program,
    slot::{Slot, State},
    watch::Subscription,
};
use super::{attachment::Attachment, error::KernelError, pins::Pins};
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

/// The interfaces of the policy, in its order. Dropping it detaches from those that are not pinned.
/// What is pinned is pinned as long as it is attached.
pub(super) struct Interfaces {
    program: Program,
    slots: Vec<Slot>,
    /// How many slots at the end are not part of a policy yet.
    added: usize,
    subscription: Option<Subscription>,
}

impl Interfaces {
    /// Attaches the loaded program to every interface that is there, or puts it in place of what is
    /// pinned for it.
    ///
    /// # Errors
    ///
    /// If the program cannot be attached to one of them. Nothing stays attached then but what was
    /// before.
    pub(super) fn attach<'a>(
        program: &Xdp,
        wanted: impl Iterator<Item = &'a Interface>,
        pins: Option<&Pins>,
    ) -> Result<Self, KernelError> {
        let mut interfaces = Self {
            program: Program::new(program)?,
            slots: Vec::new(),
            added: 0,
            // Before the first look, so that no change is missed.
            subscription: Some(Subscription::new()?),
        };
        interfaces.add(wanted, pins)?;
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
        pins: Option<&Pins>,
    ) -> Result<(), KernelError> {
        for wanted in wanted {
            if self.slots.iter().any(|it| it.wanted.name == wanted.name) {
                continue;
            }
            let mut slot = Slot::new(wanted);
            let attached = slot.attach(&self.program, pins);
            let attached = attached.and_then(|()| match &slot.state {
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
        for slot in self.slots.drain(self.slots.len() - self.added..) {
            match slot.state {
                State::Attached(attached) if !attached.is_taken_over => attached.detach(),
                _ => {}
            }
        }
        self.added = 0;
    }

    /// Detaches from all but these. One that is to have another mode is attached anew, at the next
    /// [`Self::refresh`].
    pub(super) fn keep_only<'a>(
        &mut self,
        wanted: impl Iterator<Item = &'a Interface>,
        pins: Option<&Pins>,
    ) {
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
        before.iter_mut().for_each(Slot::detach);
        // Of a daemon before, whose policy had other interfaces.
        let ours: Vec<_> = self.slots.iter().filter_map(Slot::pin).collect();
        let pinned = pins.map(Pins::interface_links).unwrap_or_default();
        pinned
            .iter()
            .filter(|pin| !ours.contains(&pin.as_path()))
            .for_each(|pin| attach::detach_pinned(pin));
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
    pub(super) fn refresh(&mut self, pins: Option<&Pins>) -> Result<Vec<Attachment>, KernelError> {
        // First of all: another slot may wait for the same device under its new name.
        for slot in &mut self.slots {
            slot.detach_if_stale(&self.program)?;
        }
        for slot in &mut self.slots {
            slot.attach(&self.program, pins)?;
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
