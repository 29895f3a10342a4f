//! Levels as words of the command line.

use clap::ValueEnum;

use crate::policy::LogLevel;

/// Levels of log lines about refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    Info,
    Notice,
    Warn,
    Error,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Info => Self::Info,
            Level::Notice => Self::Notice,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}
