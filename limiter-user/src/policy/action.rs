//! How an attempt is refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time;

/// `limit_conn_action`: how an attempt is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// The packet is dropped silently.
    #[default]
    Drop,
    /// The client gets a RST.
    Reset,
    /// The connection is accepted in place of the application, and closed after a delay.
    Close {
        /// Milliseconds from accept to close, at most [`Self::MAX_DELAY_MS`].
        delay_ms: u32,
    },
}

impl Action {
    /// One hour.
    pub const MAX_DELAY_MS: u32 = 3_600_000;

    /// What kind of action it is.
    pub fn kind(self) -> ActionKind {
        match self {
            Self::Drop => ActionKind::Drop,
            Self::Reset => ActionKind::Reset,
            Self::Close { .. } => ActionKind::Close,
        }
    }

    /// The delay of [`Self::Close`].
    pub fn delay_ms(self) -> Option<u32> {
        match self {
            Self::Close { delay_ms } => Some(delay_ms),
            Self::Drop | Self::Reset => None,
        }
    }
}

/// As it is written in the configuration, with its parameters.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        match self.delay_ms() {
            Some(delay_ms) => write!(f, " delay={}", time::format(delay_ms.into())),
            None => Ok(()),
        }
    }
}

/// An [`Action`] without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    /// [`Action::Drop`]
    Drop,
    /// [`Action::Reset`]
    Reset,
    /// [`Action::Close`]
    Close,
}

impl ActionKind {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Reset => "reset",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
