//! How long the programs have run. The kernel measures while somebody asks it to
//! (`BPF_ENABLE_STATS`), of all programs of the machine: two readings of a clock for each run.

use std::os::fd::{BorrowedFd, OwnedFd};

use aya::sys::{Stats, enable_stats};
use limiter_common::names::{PROGRAM_DIVERT, PROGRAMS};

use super::{
    Kernel,
    error::{Context, KernelError},
    object, syscall,
};

/// The kernel measures as long as this lives.
#[derive(Debug)]
pub struct Stopwatch {
    _held: OwnedFd,
}

impl Stopwatch {
    /// Has the kernel measure from here on.
    ///
    /// # Errors
    ///
    /// If it does not; it needs CAP_SYS_ADMIN.
    pub fn start() -> Result<Self, KernelError> {
        let held = enable_stats(Stats::RunTime)
            .map_err(|error| error.io_error)
            .context("enable", "run time statistics")?;
        Ok(Self { _held: held })
    }
}

/// Runs that were measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// How many.
    pub count: u64,
    /// How long they took together, ns.
    pub time_ns: u64,
}

impl Runs {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            time_ns: self.time_ns + other.time_ns,
        }
    }

    pub(super) fn of(program: BorrowedFd<'_>, name: &str) -> Result<Self, KernelError> {
        // SAFETY: these are the first members of struct bpf_prog_info.
        let info: ProgramInfo = unsafe { syscall::info(program) }.context("read", name)?;
        Ok(Self {
            count: info.run_cnt,
            time_ns: info.run_time_ns,
        })
    }
}

impl Kernel {
    /// What was measured of each program, by name. What a daemon before this one has run is not in
    /// it; what a program calls at its end (`limiter_lookup`, of `limiter_divert`) is in the caller's.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub fn program_runs(&self) -> Result<Vec<(&'static str, Runs)>, KernelError> {
        let programs = PROGRAMS.into_iter().filter_map(|name| {
            if name == PROGRAM_DIVERT {
                return Some(self.diversion.runs().map(|runs| (name, runs)));
            }
            // Some are not loaded on older kernels.
            let program = object::descriptor(&self.ebpf, name).ok()?;
            Some(Runs::of(program, name).map(|runs| (name, runs)))
        });
        programs.collect()
    }
}

/// struct bpf_prog_info, include/uapi/linux/bpf.h
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct ProgramInfo {
    /// What is before, up to `prog_tags`.
    before: [u64; 24],
    run_time_ns: u64,
    run_cnt: u64,
}

const _: () = assert!(std::mem::offset_of!(ProgramInfo, run_time_ns) == 192);
