//! What is attached where.

use std::{fmt, path::PathBuf};

use crate::policy::XdpMode;

/// A place that programs are attached to, or that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Where.
    pub place: Place,
    /// Names of the programs; none while the place is waited for.
    pub programs: Vec<&'static str>,
    /// On an interface: native or generic, the mode in use.
    pub mode: Option<XdpMode>,
    /// Why the mode is generic although native was tried first.
    pub fallback: Option<String>,
    /// Why nothing is attached at the moment.
    pub waiting: Option<String>,
}

impl Attachment {
    /// Programs in force at a place that has no modes.
    pub(super) fn plain(place: Place, programs: &[&'static str]) -> Self {
        Self {
            place,
            programs: programs.to_vec(),
            mode: None,
            fallback: None,
            waiting: None,
        }
    }
}

/// Something that programs can be attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Directory of a cgroup.
    Cgroup(PathBuf),
    /// Name of a network interface.
    Interface(String),
    /// Inode number of a network namespace.
    NetNs(u64),
}

impl Place {
    /// `cgroup`, `interface` or `netns`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cgroup(_) => "cgroup",
            Self::Interface(_) => "interface",
            Self::NetNs(_) => "netns",
        }
    }

    /// Path, name, or what lsns(8) and `readlink /proc/PID/ns/net` show.
    pub fn target(&self) -> String {
        match self {
            Self::Cgroup(path) => path.display().to_string(),
            Self::Interface(name) => name.clone(),
            Self::NetNs(inode) => format!("net:[{inode}]"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.target())
    }
}
