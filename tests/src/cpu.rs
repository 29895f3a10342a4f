//! CPUs, and who has used them.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

/// One CPU.
#[derive(Clone, Copy, Debug)]
pub struct Cpu(usize);

impl Cpu {
    /// Those that this process may use (sched_getaffinity).
    ///
    /// # Errors
    /// As the kernel says.
    pub fn all() -> Result<Vec<Self>> {
        let all = sched_getaffinity(Pid::this()).context("ask for the CPUs of this process")?;
        let ours = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu).unwrap_or(false));
        Ok(ours.map(Self).collect())
    }

    /// The last of them; interrupts mostly go to the first.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn last() -> Result<Self> {
        Self::all()?.pop().context("find a CPU")
    }

    /// Has all threads of a process run on it.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn pin(self, process: u32) -> Result<()> {
        for thread in threads(process)? {
            self.pin_thread(Pid::from_raw(thread.cast_signed()))?;
        }
        Ok(())
    }

    /// Has the calling thread run on it.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn pin_self(self) -> Result<()> {
        self.pin_thread(Pid::from_raw(0))
    }

    fn pin_thread(self, thread: Pid) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(self.0).context("name a CPU")?;
        sched_setaffinity(thread, &set).with_context(|| format!("pin {thread} to a CPU"))
    }
}

/// Time that processes have had on a CPU. What the kernel does for the network while they run is in
/// it: it is done before they go on (softirq).
///
/// # Errors
/// If there is no such process.
pub fn time(processes: &[u32]) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for process in processes {
        for thread in threads(*process)? {
            sum += of(&format!("/proc/{process}/task/{thread}/schedstat"));
        }
    }
    Ok(sum)
}

/// Time that the calling thread has had on a CPU.
///
/// # Panics
/// Never: every thread has this clock.
#[must_use]
pub fn own_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.expect("every thread has this clock").into()
}

// proc_pid_schedstat: the first number is the time on a CPU, ns. A thread may have ended meanwhile.
fn of(path: &str) -> Duration {
    let text = fs::read_to_string(path).unwrap_or_default();
    let ns = text.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

fn threads(process: u32) -> Result<Vec<u32>> {
    let path = format!("/proc/{process}/task");
    let entries = fs::read_dir(&path).with_context(|| format!("list {path}"))?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().into_string());
    Ok(names.flatten().flat_map(|name| name.parse()).collect())
}
