//! What the process may do: what it needs, and what it gives up.
//!
//! Capabilities belong to threads (capabilities(7)). So they are given up while there is one thread
//! only, from which all others have what they have.

use caps::{CapSet, Capability as Name, CapsHashSet};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::error::{Context, KernelError};

/// One capability that the daemon has a use for.
#[derive(Clone, Copy, Debug)]
struct Capability {
    name: Name,
    purpose: &'static str,
    need: Need,
}

/// When a capability is needed, and whether nothing goes without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// From the start to the end; the daemon does not start without it.
    Always,
    /// From the start to the end; without it less is found.
    IfThere,
    /// Before the capabilities are given up.
    AtStart,
    /// Afterwards, too, if the policy comes from a file. Units and containers do without: what they
    /// read belongs to root.
    ForFiles,
}

/// What the unit and the manifest give, and the daemon keeps, is in this table and nowhere else.
const TABLE: [Capability; 8] = [
    Capability {
        name: Name::CAP_NET_ADMIN,
        purpose: "attach to cgroups and interfaces, and close connections",
        need: Need::Always,
    },
    // Interfaces and listeners come and go, and so do zones: all of these are needed later, too.
    Capability {
        name: Name::CAP_SYS_ADMIN,
        purpose: "look into network namespaces",
        need: Need::Always,
    },
    Capability {
        name: Name::CAP_PERFMON,
        purpose: "load the programs",
        need: Need::Always,
    },
    Capability {
        name: Name::CAP_BPF,
        purpose: "load the programs",
        need: Need::Always,
    },
    Capability {
        name: Name::CAP_SYS_PTRACE,
        purpose: "find the network namespaces and the sockets of others' processes",
        need: Need::IfThere,
    },
    Capability {
        name: Name::CAP_NET_RAW,
        purpose: "send the SYN of a connect that has waited",
        need: Need::IfThere,
    },
    Capability {
        name: Name::CAP_CHOWN,
        purpose: "give the control socket to its group",
        need: Need::AtStart,
    },
    Capability {
        name: Name::CAP_DAC_READ_SEARCH,
        purpose: "read the configuration again, in whosever directory it lies",
        need: Need::ForFiles,
    },
];

/// Checks that the process has the capabilities that are needed.
///
/// # Errors
///
/// Names those that are missing.
pub fn check() -> Result<(), KernelError> {
    let effective = caps::read(None, CapSet::Effective).context("read", CAPABILITIES)?;
    let missing = missing(&effective);
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

/// Gives up every capability that the daemon has no use for later on, and the way to new ones
/// (`PR_SET_NO_NEW_PRIVS`). What the process does not have is not missed. Returns what it keeps.
///
/// To be called while the process has one thread. `files`: whether the policy is read from files.
///
/// # Errors
///
/// If the kernel refuses; that some are given up already does no harm.
pub fn give_up(files: bool) -> Result<Vec<String>, KernelError> {
    const OPERATION: &str = "give up";
    let permitted = caps::read(None, CapSet::Permitted).context("read", CAPABILITIES)?;
    let kept = kept(&permitted, files);
    let bounding = caps::read(None, CapSet::Bounding).context("read", CAPABILITIES)?;
    // What bounds nothing, because nobody may take more, need not be left to programs that we start:
    // there are none.
    if caps::has_cap(None, CapSet::Effective, Name::CAP_SETPCAP).context("read", CAPABILITIES)? {
        for name in bounding {
            caps::drop(None, CapSet::Bounding, name).context(OPERATION, name.to_string())?;
        }
    }
    caps::clear(None, CapSet::Ambient).context(OPERATION, "ambient capabilities")?;
    caps::clear(None, CapSet::Inheritable).context(OPERATION, "inheritable capabilities")?;
    // What is effective is always permitted, so this first.
    caps::set(None, CapSet::Effective, &kept).context(OPERATION, CAPABILITIES)?;
    caps::set(None, CapSet::Permitted, &kept).context(OPERATION, CAPABILITIES)?;
    nix::sys::prctl::set_no_new_privs().context("set", "PR_SET_NO_NEW_PRIVS")?;
    let mut names: Vec<_> = kept.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    Ok(names)
}

const CAPABILITIES: &str = "capabilities";

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

/// Of those that are permitted.
fn kept(permitted: &CapsHashSet, files: bool) -> CapsHashSet {
    let is_kept = |need| match need {
        Need::Always | Need::IfThere => true,
        Need::AtStart => false,
        Need::ForFiles => files,
    };
    let kept = TABLE.iter().filter(|it| is_kept(it.need));
    kept.map(|it| it.name)
        .filter(|name| permitted.contains(name))
        .collect()
}

fn missing(effective: &CapsHashSet) -> Vec<String> {
    TABLE
        .iter()
        .filter(|it| it.need == Need::Always && !effective.contains(&it.name))
        .map(|it| format!("{} (to {})", it.name, it.purpose))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        let mut some = caps::all();
        assert!(missing(&some).is_empty());
        some.remove(&Name::CAP_BPF);
        assert_eq!(missing(&some), ["CAP_BPF (to load the programs)"]);
        assert_eq!(missing(&CapsHashSet::new()).len(), 4);
    }

    #[test]
    fn what_is_not_there_is_not_kept() {
        let names =
            |kept: CapsHashSet| -> BTreeSet<_> { kept.iter().map(ToString::to_string).collect() };
        let all = names(kept(&caps::all(), false));
        let expected = [
            "CAP_BPF",
            "CAP_NET_ADMIN",
            "CAP_NET_RAW",
            "CAP_PERFMON",
            "CAP_SYS_ADMIN",
            "CAP_SYS_PTRACE",
        ];
        assert_eq!(all, expected.map(str::to_owned).into());
        assert!(kept(&caps::all(), true).contains(&Name::CAP_DAC_READ_SEARCH));
        let few = CapsHashSet::from([Name::CAP_BPF, Name::CAP_CHOWN]);
        assert_eq!(names(kept(&few, true)), ["CAP_BPF".to_owned()].into());
    }

    #[test]
    fn the_unit_and_the_manifest_give_what_the_table_says() {
        let table: BTreeSet<_> = TABLE
            .iter()
            .filter(|it| it.need != Need::ForFiles)
            .map(|it| it.name.to_string())
            .collect();

        let unit = include_str!("../../../packaging/limiter.service");
        let mut lines = unit.lines();
        let bounds = lines.find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        let of_the_unit = bounds.expect("capabilities").split(' ');
        assert_eq!(
            of_the_unit.map(str::to_owned).collect::<BTreeSet<_>>(),
            table
        );

        let manifest = include_str!("../../../packaging/kubernetes.yaml");
        let (_, list) = manifest.split_once(" add:\n").expect("capabilities");
        let of_the_manifest = list
            .lines()
            .map_while(|line| line.trim().strip_prefix("- "))
            .filter_map(|line| line.split(' ').next())
            .map(|name| format!("CAP_{name}"));
        assert_eq!(of_the_manifest.collect::<BTreeSet<_>>(), table);
    }
}
