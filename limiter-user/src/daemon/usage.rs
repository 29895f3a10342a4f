//! What the daemon itself takes of the machine.

use std::{fs, io};

use nix::{
    sys::{
        resource::{Resource, UsageWho, getrlimit, getrusage},
        time::TimeVal,
    },
    unistd::{SysconfVar, sysconf},
};

use crate::metrics::Usage;

/// Of this process (proc(5)).
///
/// # Errors
///
/// If `/proc` does not tell.
pub fn read() -> io::Result<Usage> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let statm = fs::read_to_string("/proc/self/statm")?;
    let page_bytes = configured(SysconfVar::PAGE_SIZE)?;
    let pages = |position| field(&statm, position).map(|pages| pages * page_bytes);
    let (max_fds, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(Usage {
        cpu_seconds: seconds(usage.user_time()) + seconds(usage.system_time()),
        virtual_bytes: pages(0)?,
        resident_bytes: pages(1)?,
        // One of them is that of the directory.
        open_fds: (fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1),
        max_fds,
        start_time_seconds: start_time()?,
    })
}

/// Unix time.
fn start_time() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may have blanks.
    let (_, behind_name) = stat.rsplit_once(')').ok_or_else(unexpected)?;
    let ticks = field(behind_name, 19)?;
    let system = fs::read_to_string("/proc/stat")?;
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "));
    let boot: u64 = boot
        .and_then(|it| it.trim().parse().ok())
        .ok_or_else(unexpected)?;
    Ok(boot as f64 + ticks as f64 / configured(SysconfVar::CLK_TCK)? as f64)
}

fn field(line: &str, position: usize) -> io::Result<u64> {
    let word = line.split_whitespace().nth(position);
    word.and_then(|it| it.parse().ok()).ok_or_else(unexpected)
}

fn configured(variable: SysconfVar) -> io::Result<u64> {
    let value = sysconf(variable)?;
    value
        .and_then(|value| u64::try_from(value).ok())
        .ok_or_else(unexpected)
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not in the form of proc(5)")
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let usage = read().expect("proc(5)");
        assert!(usage.resident_bytes > 100_000 && usage.resident_bytes <= usage.virtual_bytes);
        assert!((3..=usage.max_fds).contains(&usage.open_fds), "{usage:?}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let age = now.expect("after 1970").as_secs_f64() - usage.start_time_seconds;
        assert!((-2.0..3_600.0).contains(&age), "{age}");
        assert!(usage.cpu_seconds >= 0.0);
    }
}
