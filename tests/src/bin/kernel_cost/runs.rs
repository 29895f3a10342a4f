//! Run counts and run times of the programs, as the kernel shows them for our own descriptors
//! (kernel/bpf/syscall.c, bpf_prog_show_fdinfo).

use std::{fs, ops::Sub, path::PathBuf};

use anyhow::{Context, Result, bail};

use super::bpf::{CGROUP_SKB_INGRESS, EmptyProgram, Hook, SOCK_OPS};

/// How often a program ran, and for how long altogether.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runs {
    pub number: u64,
    pub time_ns: u64,
}

impl Sub for Runs {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            number: self.number - before.number,
            time_ns: self.time_ns - before.time_ns,
        }
    }
}

/// Of one hook: the limiter's program, and the one that does nothing for the same packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pair {
    pub limiter: Runs,
    pub empty: Runs,
}

impl Sub for Pair {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            limiter: self.limiter - before.limiter,
            empty: self.empty - before.empty,
        }
    }
}

/// All programs at one moment, or between two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// `cgroup_skb/ingress`
    pub enforce: Pair,
    /// `sock_ops`
    pub count: Pair,
}

impl Sub for Reading {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            enforce: self.enforce - before.enforce,
            count: self.count - before.count,
        }
    }
}

/// Where the numbers of the limiter's programs stand. Only its descriptors of this process count:
/// other limiters may run.
pub struct Programs {
    enforce: PathBuf,
    count: PathBuf,
}

impl Programs {
    /// Finds the programs of the limiter that runs in this process.
    pub fn find() -> Result<Self> {
        Ok(Self {
            enforce: find(CGROUP_SKB_INGRESS)?,
            count: find(SOCK_OPS)?,
        })
    }

    /// Reads all numbers.
    pub fn read(&self, empty_skb: &EmptyProgram, empty_ops: &EmptyProgram) -> Result<Reading> {
        Ok(Reading {
            enforce: Pair {
                limiter: read(&self.enforce)?,
                empty: read(&descriptor(empty_skb.fd()))?,
            },
            count: Pair {
                limiter: read(&self.count)?,
                empty: read(&descriptor(empty_ops.fd()))?,
            },
        })
    }
}

const DESCRIPTORS: &str = "/proc/self/fdinfo";

fn descriptor(fd: i32) -> PathBuf {
    PathBuf::from(format!("{DESCRIPTORS}/{fd}"))
}

fn find(hook: Hook) -> Result<PathBuf> {
    for entry in fs::read_dir(DESCRIPTORS).with_context(|| format!("list {DESCRIPTORS}"))? {
        let path = entry?.path();
        // The descriptor of this listing is gone when its turn comes.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        if field(&text, "prog_type") == Some(hook.program_type.into()) {
            return Ok(path);
        }
    }
    bail!(
        "find program: this process has none of type {}",
        hook.program_type
    )
}

fn read(path: &PathBuf) -> Result<Runs> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let field = |name| field(&text, name).with_context(|| format!("{name} of a program"));
    Ok(Runs {
        number: field("run_cnt")?,
        time_ns: field("run_time_ns")?,
    })
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?
        .trim()
        .parse()
        .ok()
}
