//! Attaching one program to one cgroup.

use std::{fs, os::fd::AsFd as _};

use aya::Ebpf;
use limiter_common::names::{
    PROGRAM_CONNECT4, PROGRAM_CONNECT6, PROGRAM_ENFORCE, PROGRAM_HOLD, PROGRAM_RELEASE,
};

use super::directory::{Cgroup, OPERATION};
use crate::kernel::{
    error::{Context as _, KernelError},
    link::{Hook, Link},
    object,
    pins::Pins,
};

/// Attaches a program to a cgroup, or puts it in place of the one whose link is pinned there.
pub(in crate::kernel) fn attach(
    ebpf: &Ebpf,
    name: &'static str,
    cgroup: &Cgroup,
    pins: Option<&Pins>,
) -> Result<Link, KernelError> {
    let program = object::descriptor(ebpf, name)?;
    let hook = match name {
        PROGRAM_ENFORCE => Hook::CgroupIngress,
        PROGRAM_HOLD => Hook::CgroupEgress,
        PROGRAM_CONNECT4 => Hook::CgroupConnect4,
        PROGRAM_CONNECT6 => Hook::CgroupConnect6,
        PROGRAM_RELEASE => Hook::CgroupSockRelease,
        _ => Hook::CgroupSockOps,
    };
    let place = cgroup.path.display();
    let pin = pins.map(|pins| pins.link(name, cgroup.id()));
    if let Some(pin) = &pin
        && let Ok(link) = Link::open(pin)
    {
        if link.replace(program).is_ok() {
            return Ok(link);
        }
        // Of a cgroup that is gone, whose number this one has now.
        fs::remove_file(pin).context("unpin", pin.display())?;
    }
    let link = Link::to_cgroup(program, cgroup.as_fd(), hook)
        .context(OPERATION, &place)
        .map_err(object::explain)?;
    if let Some(pin) = &pin {
        link.pin(pin).context("pin to", pin.display())?;
    }
    Ok(link)
}
