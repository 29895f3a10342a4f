//! Who may use the control socket.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What `control` says behind its path: whom the daemon answers beside root and its own user, who may
/// do everything. The default is nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// `group=`: its members may do everything.
    pub group: Option<Group>,
    /// `others=`
    pub others: Others,
}

/// A group of this machine, as it was when the configuration was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As it is written: its name, or its number.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// What everybody else may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Others {
    /// Nothing at all.
    #[default]
    Nothing,
    /// Read state and events.
    Read,
}

impl Others {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Read => "read",
        }
    }
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
