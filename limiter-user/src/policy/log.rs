//! What is logged, and where to.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// `limit_conn_log_level`, and the level of `error_log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For debugging; only as the level of `error_log`.
    Debug,
    /// Of interest.
    Info,
    /// Normal but significant.
    Notice,
    /// A warning.
    Warn,
    /// An error.
    Error,
}

impl LogLevel {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `error_log TARGET LEVEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorLog {
    /// Where to.
    pub target: LogTarget,
    /// From which level on.
    pub level: LogLevel,
    /// What lines look like; of no meaning for the journal.
    pub format: LogFormat,
}

impl Default for ErrorLog {
    fn default() -> Self {
        Self {
            target: LogTarget::Stderr,
            level: LogLevel::Notice,
            format: LogFormat::Text,
        }
    }
}

/// Where the daemon's log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// systemd's journal, with fields.
    Journal,
    /// Appended to a file.
    File(PathBuf),
}

/// `format=` of `error_log`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A sentence a line.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}
