//! Attaching the XDP program to one device.

use std::{
    fs, io, iter,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use aya::programs::{ProgramFd, Xdp};
use limiter_common::names::PROGRAM_XDP;

use super::{
    AttachedInterface,
    device::{self, Device, Mode},
    refusal::{Refusal, why_not_native},
};
use crate::{
    kernel::{
        error::{Context, KernelError},
        link::Link,
        pins::Pins,
    },
    policy::{Interface, XdpMode},
};

/// The loaded program.
pub(super) struct Program {
    fd: ProgramFd,
    pub(super) id: u32,
}

impl Program {
    pub(super) fn new(program: &Xdp) -> Result<Self, KernelError> {
        let fd = program.fd().context("find program", PROGRAM_XDP)?;
        let fd = fd.try_clone().context("find program", PROGRAM_XDP)?;
        let info = program.info().context("find program", PROGRAM_XDP)?;
        Ok(Self { fd, id: info.id() })
    }
}

/// The program is attached as long as this lives or is pinned.
pub(super) struct Attached {
    pub(super) interface: AttachedInterface,
    /// Why the mode is generic although native was tried.
    pub(super) fallback: Option<String>,
    /// Whether another daemon has attached it.
    pub(super) is_taken_over: bool,
    link: Link,
    /// Where the link is pinned.
    pub(super) pin: Option<PathBuf>,
}

impl Attached {
    /// Detaches the program. Nothing happens if the device is gone.
    pub(super) fn detach(self) {
        let detached = self.link.detach();
        if let Some(pin) = &self.pin {
            unpin(pin);
        }
        if let Err(error) = detached {
            tracing::warn!("detach from an interface: {error}");
        }
    }
}

/// Puts the program in place of the one that is pinned for this device, or else attaches it.
/// Another's program is never replaced.
pub(super) fn attach(
    wanted: &Interface,
    device: &Device,
    program: &Program,
    pins: Option<&Pins>,
) -> Result<Attached, Refusal> {
    if let Some(pins) = pins
        && let Some(attached) = take_over(wanted, device, program, pins)
    {
        return Ok(attached);
    }
    let attached = match device::find(&wanted.name) {
        Ok(Some(now)) if now.index == device.index => attach_anew(wanted, &now, program),
        _ => Err(Refusal::Gone),
    }?;
    let Some(pins) = pins else {
        return Ok(attached);
    };
    let pin = pins.interface_link(device.index);
    match attached.link.pin(&pin) {
        Ok(()) => Ok(Attached {
            pin: Some(pin),
            ..attached
        }),
        Err(error) => {
            attached.detach();
            Err(Refusal::not_pinned(wanted, &pin, &error))
        }
    }
}

/// Goes on with a link of the daemon before. None: there is none that is any good.
fn take_over(
    wanted: &Interface,
    device: &Device,
    program: &Program,
    pins: &Pins,
) -> Option<Attached> {
    let pin = pins.interface_link(device.index);
    let before = pins.earlier_interface_link(device.index);
    for place in iter::once(&pin).chain(&before) {
        let Ok(link) = Link::open(place) else {
            continue;
        };
        let mode = replace(&link, wanted, device, program);
        let Some(mode) = mode.filter(|_| move_pin(&link, place, &pin).is_ok()) else {
            // Of a device that is gone, or in another mode than it should be.
            detach_pinned(place);
            continue;
        };
        let is_fallback = mode == Mode::Generic && wanted.mode == XdpMode::Auto;
        return Some(Attached {
            interface: attached_to(device, mode),
            fallback: is_fallback.then(|| "taken over as it was".to_owned()),
            is_taken_over: true,
            link,
            pin: Some(pin.clone()),
        });
    }
    None
}

fn move_pin(link: &Link, from: &Path, to: &Path) -> io::Result<()> {
    if from != to {
        link.pin(to)?;
        unpin(from);
    }
    Ok(())
}

/// Puts the program in place of the attached one; tells the mode. None: it cannot stay like that.
fn replace(link: &Link, wanted: &Interface, device: &Device, program: &Program) -> Option<Mode> {
    link.replace(program.fd.as_fd()).ok()?;
    let now = device::find(&wanted.name).ok().flatten()?;
    let ours = now.programs.iter().find(|it| it.id == program.id)?;
    let is_this = now.index == device.index;
    match (ours.mode, wanted.mode) {
        ("native", XdpMode::Auto | XdpMode::Native) if is_this => Some(Mode::Native),
        ("generic", XdpMode::Auto | XdpMode::Generic) if is_this => Some(Mode::Generic),
        _ => None,
    }
}

/// Detaches what is pinned here.
pub(super) fn detach_pinned(pin: &Path) {
    if let Ok(link) = Link::open(pin) {
        // Fails if the device is gone.
        let _ = link.detach();
    }
    unpin(pin);
}

fn unpin(pin: &Path) {
    match fs::remove_file(pin) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("unpin {}: {error}", pin.display());
        }
        _ => {}
    }
}

fn attach_anew(
    wanted: &Interface,
    device: &Device,
    program: &Program,
) -> Result<Attached, Refusal> {
    if let Some(other) = device.programs.first() {
        return Err(Refusal::taken(wanted, device, *other));
    }
    if !device.is_ethernet {
        return Err(Refusal::not_ethernet(wanted, device));
    }
    let attempt = |mode: Mode| Link::to_interface(program.fd.as_fd(), device.index, mode as u32);
    let (mode, fallback, result) = match wanted.mode {
        XdpMode::Native => (Mode::Native, None, attempt(Mode::Native)),
        XdpMode::Generic => (Mode::Generic, None, attempt(Mode::Generic)),
        XdpMode::Auto => match attempt(Mode::Native) {
            Err(error) if is_of_driver(&error) => (
                Mode::Generic,
                Some(why_not_native(&error, device)),
                attempt(Mode::Generic),
            ),
            result => (Mode::Native, None, result),
        },
    };
    match result {
        Ok(link) => Ok(Attached {
            interface: attached_to(device, mode),
            fallback,
            is_taken_over: false,
            link,
            pin: None,
        }),
        Err(error) => Err(Refusal::new(wanted, device, mode, &error)),
    }
}

fn attached_to(device: &Device, mode: Mode) -> AttachedInterface {
    AttachedInterface {
        index: device.index,
        mode: match mode {
            Mode::Generic => XdpMode::Generic,
            Mode::Native => XdpMode::Native,
        },
        can_transmit: device.can_transmit(mode),
    }
}

/// Whether it is the driver that refuses; else another mode would fare no better.
fn is_of_driver(error: &io::Error) -> bool {
    !matches!(
        error.raw_os_error(),
        Some(libc::EBUSY | libc::EEXIST | libc::EPERM | libc::ENODEV)
    )
}
