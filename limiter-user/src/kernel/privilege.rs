//! What the process may do.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::error::{Context, KernelError};

/// Capability, its bit, and what it is needed for.
const NEEDED: [(&str, u32, &str); 4] = [
    (
        "CAP_NET_ADMIN",
        12,
        "attach to cgroups and interfaces, and close connections",
    ),
    ("CAP_SYS_ADMIN", 21, "look into network namespaces"),
    ("CAP_PERFMON", 38, "load the programs"),
    ("CAP_BPF", 39, "load the programs"),
];

/// Checks that the process has the capabilities that are needed.
///
/// # Errors
///
/// Names those that are missing.
pub fn check() -> Result<(), KernelError> {
    const STATUS: &str = "/proc/self/status";
    let status = fs::read_to_string(STATUS).context("read", STATUS)?;
    let effective = effective_capabilities(&status)
        .ok_or_else(|| KernelError::new("read", STATUS, "it has no line CapEff"))?;
    let missing = missing(effective);
    if missing.is_empty() {
        return Ok(());
    }
    Err(KernelError::new(
        "load",
        "the eBPF programs",
        format!("missing capabilities: {}", missing.join(", ")),
    )
    .hint("run limiter as root, or give the service these capabilities"))
}

/// Allows us as many descriptors as the hard limit does: the soft one is low for the sake of
/// programs that use select(2). Each network namespace and each waiting connection takes some.
pub(super) fn raise_descriptor_limit() -> Result<(), KernelError> {
    const OBJECT: &str = "RLIMIT_NOFILE";
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("read", OBJECT)?;
    if soft == hard {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raise", OBJECT)
}

fn effective_capabilities(status: &str) -> Option<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
}

fn missing(effective: u64) -> Vec<String> {
    NEEDED
        .iter()
        .filter(|(_, bit, _)| effective & 1 << bit == 0)
        .map(|(name, _, purpose)| format!("{name} (to {purpose})"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        let status = "Name:\tx\nCapEff:\t000001ffffffffff\n";
        let all = effective_capabilities(status).expect("has the line");
        assert!(missing(all).is_empty());
        let without_bpf = missing(all & !(1 << 39));
        assert_eq!(without_bpf, ["CAP_BPF (to load the programs)"]);
        assert_eq!(missing(0).len(), NEEDED.len());
    }
}
