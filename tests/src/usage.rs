//! What a process uses of the machine.

use std::{collections::BTreeMap, fs, time::Duration};

use nix::unistd::{SysconfVar, sysconf};

use crate::test_run::{descriptors, field};

/// So far, and at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// On all CPUs, in user mode and in the kernel, since its start.
    pub cpu_time: Duration,
    /// Memory that is resident.
    pub memory_bytes: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Usage {
    /// Of the process with this id.
    ///
    /// # Panics
    /// If it is gone.
    pub fn of(id: u32) -> Self {
        let read = |file: &str| {
            fs::read_to_string(format!("/proc/{id}/{file}"))
                .unwrap_or_else(|e| panic!("read the {file} of process {id}: {e}"))
        };
        let (stat, statm) = (read("stat"), read("statm"));
        // proc_pid_stat(5): behind the name, which may have blanks, utime and stime are the 12th
        // and 13th.
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let ticks: u64 = fields
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum();
        let pages = statm.split(' ').nth(1).map(str::parse::<u64>);
        Self {
            cpu_time: Duration::from_millis(ticks * 1_000 / system(SysconfVar::CLK_TCK)),
            memory_bytes: pages.expect("resident pages").expect("a number")
                * system(SysconfVar::PAGE_SIZE),
            descriptors: fs::read_dir(format!("/proc/{id}/fd"))
                .unwrap_or_else(|e| panic!("list the descriptors of process {id}: {e}"))
                .count(),
        }
    }
}

/// Memory that the kernel charges for the BPF maps that a process holds, bytes.
///
/// # Panics
/// If it is gone.
pub fn map_bytes(id: u32) -> u64 {
    let maps: BTreeMap<u32, u64> = descriptors(id)
        .filter_map(|info| Some((field(&info, "map_id")?, field(&info, "memlock")?)))
        .collect();
    maps.values().sum()
}

fn system(variable: SysconfVar) -> u64 {
    let value = sysconf(variable).expect("ask for a constant of the system");
    u64::try_from(value.expect("it has one")).expect("positive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id());
        assert!(usage.memory_bytes > 100_000, "{usage:?}");
    }
}
