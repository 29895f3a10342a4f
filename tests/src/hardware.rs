//! Where something was measured.

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
    fs,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What figures depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// Model of the CPU.
    pub cpu: String,
    /// Whether it is a virtual one.
    pub is_virtual: bool,
    /// CPUs of the machine.
    pub cpus: usize,
    /// Release of the kernel.
    pub kernel: String,
    /// Architecture.
    pub architecture: String,
}

impl Hardware {
    /// This machine's.
    ///
    /// # Errors
    /// As files in /proc say.
    pub fn here() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
        let values = |name: &'static str| {
            cpuinfo.lines().filter_map(move |line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == name).then(|| value.trim())
            })
        };
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("read osrelease")?;
        Ok(Self {
            cpu: model(&values),
            is_virtual: values("flags").any(|flags| flags.split(' ').any(|f| f == "hypervisor")),
            cpus: values("processor").count(),
            kernel: version(&release),
            architecture: std::env::consts::ARCH.to_owned(),
        })
    }
}

impl Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            is_virtual,
            cpus,
            kernel,
            architecture,
        } = self;
        let kind = if *is_virtual { "virtual " } else { "" };
        write!(
            f,
            "{cpu}, {cpus} {kind}CPUs, {architecture}, Linux {kernel}"
        )
    }
}

/// Hypervisors shorten the model's name: family and model tell more.
fn model<'a, I: Iterator<Item = &'a str>>(values: &impl Fn(&'static str) -> I) -> String {
    let names: BTreeSet<&str> = values("model name").collect();
    let name = names.into_iter().next().unwrap_or("unknown");
    match (values("cpu family").next(), values("model").next()) {
        (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        _ => name.to_owned(),
    }
}

/// The version only: what follows may name who has built it.
fn version(release: &str) -> String {
    release
        .trim()
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned()
}
