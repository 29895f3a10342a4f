//! Attaching the XDP program to one device.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use aya::programs::{ProgramFd, Xdp};
use limiter_common::names::PROGRAM_XDP;

use super::{
    AttachedInterface,
    bpf_link::{self, Mode},
    device::Device,
    refusal::{Refusal, why_not_native},
};
use crate::{
    kernel::error::{Context, KernelError},
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

/// The program is attached until this is dropped.
pub(super) struct Link {
    pub(super) interface: AttachedInterface,
    /// Why the mode is generic although native was tried.
    pub(super) fallback: Option<String>,
    _fd: OwnedFd,
}

/// Attaches the program. Another's program is never replaced.
pub(super) fn attach(
    wanted: &Interface,
    device: &Device,
    program: &Program,
) -> Result<Link, Refusal> {
    if let Some(other) = device.programs.first() {
        return Err(Refusal::taken(wanted, device, *other));
    }
    if !device.is_ethernet {
        return Err(Refusal::not_ethernet(wanted, device));
    }
    let attempt = |mode| bpf_link::create(program.fd.as_fd(), device.index, mode);
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
        Ok(fd) => Ok(Link {
            interface: AttachedInterface {
                index: device.index,
                mode: match mode {
                    Mode::Generic => XdpMode::Generic,
                    Mode::Native => XdpMode::Native,
                },
                can_transmit: device.can_transmit(mode),
            },
            fallback,
            _fd: fd,
        }),
        Err(error) => Err(Refusal::new(wanted, device, mode, &error)),
    }
}

/// Whether it is the driver that refuses; else another mode would fare no better.
fn is_of_driver(error: &io::Error) -> bool {
    !matches!(
        error.raw_os_error(),
        Some(libc::EBUSY | libc::EEXIST | libc::EPERM | libc::ENODEV)
    )
}
