//! What went wrong in the kernel, in terms of what was asked for.

use std::fmt;

use aya::{EbpfError, maps::MapError, programs::ProgramError};

/// An operation on the kernel that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} {object}: {cause}")]
pub struct KernelError {
    /// What was tried.
    pub operation: &'static str,
    /// On what.
    pub object: String,
    /// Why it failed.
    pub cause: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl KernelError {
    pub(super) fn new(
        operation: &'static str,
        object: impl fmt::Display,
        cause: impl fmt::Display,
    ) -> Self {
        Self {
            operation,
            object: object.to_string(),
            cause: cause.to_string(),
            hint: None,
        }
    }

    pub(super) fn hint(self, hint: impl fmt::Display) -> Self {
        Self {
            hint: Some(hint.to_string()),
            ..self
        }
    }
}

/// Names operation and object of an error that comes from below.
pub(super) trait Context<T> {
    fn context(self, operation: &'static str, object: impl fmt::Display) -> Result<T, KernelError>;
}

impl<T, E: Cause> Context<T> for Result<T, E> {
    fn context(self, operation: &'static str, object: impl fmt::Display) -> Result<T, KernelError> {
        self.map_err(|error| KernelError::new(operation, object, error.cause()))
    }
}

impl Cause for ProgramError {
    fn cause(&self) -> String {
        let Self::LoadError {
            io_error,
            verifier_log,
        } = self
        else {
            return chain(self);
        };
        tracing::debug!("the verifier's log: {verifier_log}");
        let log = verifier_log.to_string();
        // It ends with what was wrong, followed by statistics.
        let lines: Vec<_> = log.lines().filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(VERIFIER_LINES)..].join("; ");
        format!("{io_error}; the verifier's log ends: {last}")
    }
}

/// Last lines of the verifier's log that an error shows.
const VERIFIER_LINES: usize = 6;

/// The error and everything behind it, in one sentence.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        // Some errors print their source themselves.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

/// Errors whose whole chain is one sentence.
pub(super) trait Cause {
    fn cause(&self) -> String;
}

macro_rules! chained {
    ($($error:ty),*) => {
        $(
            impl Cause for $error {
                fn cause(&self) -> String {
                    chain(self)
                }
            }
        )*
    };
}

chained!(
    EbpfError,
    MapError,
    aya::BtfError,
    aya::programs::links::LinkError,
    caps::errors::CapsError,
    std::io::Error,
    nix::Error
);
