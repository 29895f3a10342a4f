//! Why a demo failed.

use std::fmt;

/// Why a demo failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum DemoError {
    /// The stage cannot be built or removed.
    #[error("demo: {operation} {object}: {cause}")]
    Stage {
        operation: &'static str,
        object: String,
        cause: String,
    },
    /// The process with the server and the clients failed.
    #[error("demo: the process with the server: {0}")]
    Peer(String),
    /// What was shown is not what was announced.
    #[error("demo: not as announced: {0}")]
    Unexpected(String),
    /// A signal came.
    #[error("demo: interrupted, everything is cleaned up")]
    Interrupted,
}

impl DemoError {
    pub(super) fn stage(
        operation: &'static str,
        object: impl fmt::Display,
        cause: impl fmt::Display,
    ) -> Self {
        Self::Stage {
            operation,
            object: object.to_string(),
            cause: cause.to_string(),
        }
    }

    pub(in crate::commands) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unexpected(_) => Some(
                "a firewall or another limiter that covers the whole host sees these connections, \
                 too; stop it and try again",
            ),
            Self::Stage { .. } | Self::Peer(_) | Self::Interrupted => None,
        }
    }
}
