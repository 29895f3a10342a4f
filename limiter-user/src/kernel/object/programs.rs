//! The programs of the object.

use std::os::fd::{AsFd as _, BorrowedFd};

use aya::{
    Btf, Ebpf,
    maps::Map,
    programs::{
        CgroupSkb, CgroupSock, CgroupSockAddr, Iter, Program, ProgramError, SkLookup, SkReuseport,
        SockOps, Xdp,
    },
};
use limiter_common::names::{
    PROGRAM_ADOPT, PROGRAM_COUNT, PROGRAM_ENFORCE, PROGRAM_HOLD, PROGRAM_LOOKUP, PROGRAM_REFUSE,
    PROGRAM_RELEASE, PROGRAM_WAIT, PROGRAM_XDP,
};

use super::{OLDEST, explain, release};
use crate::kernel::{
    audit,
    cgroup::Outgoing,
    error::{Context, KernelError},
};

/// Has the kernel verify all programs, but those of outgoing connections.
pub(in crate::kernel) fn load_programs(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    verify(
        PROGRAM_COUNT,
        program::<SockOps>(ebpf, PROGRAM_COUNT)?.load(),
    )?;
    verify(
        PROGRAM_ENFORCE,
        program::<CgroupSkb>(ebpf, PROGRAM_ENFORCE)?.load(),
    )?;
    verify(PROGRAM_XDP, program::<Xdp>(ebpf, PROGRAM_XDP)?.load())?;
    verify(
        PROGRAM_LOOKUP,
        program::<SkLookup>(ebpf, PROGRAM_LOOKUP)?.load(),
    )?;
    verify(
        PROGRAM_REFUSE,
        program::<SkReuseport>(ebpf, PROGRAM_REFUSE)?.load(),
    )?;
    verify(PROGRAM_WAIT, program::<SockOps>(ebpf, PROGRAM_WAIT)?.load())?;
    let btf = Btf::from_sys_fs()
        .context("read", "/sys/kernel/btf/vmlinux")
        .map_err(|error| {
            error.hint(format_args!(
                "limiter needs Linux {OLDEST} or later with CONFIG_DEBUG_INFO_BTF; this is Linux {}",
                release()
            ))
        })?;
    verify(
        PROGRAM_ADOPT,
        program::<Iter>(ebpf, PROGRAM_ADOPT)?.load("tcp", &btf),
    )?;
    audit::load(ebpf, &btf)
}

/// Has the kernel verify the programs of outgoing connections. They cannot be loaded later: by then the
/// maps that they name are taken.
///
/// # Errors
///
/// On kernels before 5.18. Nothing else needs these programs.
pub(in crate::kernel) fn load_outgoing(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    for &name in Outgoing::Queued.programs() {
        let loaded = match name {
            PROGRAM_HOLD => program::<CgroupSkb>(ebpf, name)?.load(),
            PROGRAM_RELEASE => program::<CgroupSock>(ebpf, name)?.load(),
            _ => program::<CgroupSockAddr>(ebpf, name)?.load(),
        };
        loaded
            .context("load program", name)
            .map_err(|error| error.hint("\"upstream\" needs Linux 5.18 or later"))?;
    }
    Ok(())
}

pub(in crate::kernel) fn verify(
    name: &'static str,
    loaded: Result<(), ProgramError>,
) -> Result<(), KernelError> {
    loaded.context("load program", name).map_err(explain)
}

/// The loaded program of this name.
pub(in crate::kernel) fn descriptor<'a>(
    ebpf: &'a Ebpf,
    name: &'static str,
) -> Result<BorrowedFd<'a>, KernelError> {
    let program = ebpf
        .program(name)
        .ok_or_else(|| KernelError::new("find program", name, "the object does not have it"))?;
    Ok(program.fd().context("find program", name)?.as_fd())
}

/// The socket storage of this name.
pub(in crate::kernel) fn storage<'a>(
    ebpf: &'a Ebpf,
    name: &'static str,
) -> Result<BorrowedFd<'a>, KernelError> {
    match ebpf.map(name) {
        Some(Map::SkStorage(map)) => Ok(map.fd().as_fd()),
        _ => Err(KernelError::new(
            "find map",
            name,
            "the object does not have it",
        )),
    }
}

/// The program of this name.
pub(in crate::kernel) fn program<'a, P>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut P, KernelError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or_else(|| KernelError::new("find program", name, "the object does not have it"))?
        .try_into()
        .context("find program", name)
}
