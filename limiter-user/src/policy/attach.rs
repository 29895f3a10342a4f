//! Where to attach.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// `attach cgroup PATH`, `attach interface NAME [mode=auto|native|generic]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A directory of the cgroup2 hierarchy.
    Cgroup(PathBuf),
    /// A network interface of the daemon's namespace.
    Interface(Interface),
}

/// A network interface on which excess attempts are refused before the network stack sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name, 1 to 15 bytes (`IFNAMSIZ`).
    pub name: String,
    /// Where in the driver the program runs.
    pub mode: XdpMode,
}

/// `mode=` of `attach interface`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// Native if the driver can, else generic.
    #[default]
    Auto,
    /// In the driver, before a socket buffer is made.
    Native,
    /// In the network stack, with every driver.
    Generic,
}

impl XdpMode {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
