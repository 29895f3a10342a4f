//! Why a command failed: one table from kind to exit code.

use std::{io, path::PathBuf, process::ExitCode};

use super::{demo::DemoError, policy_source::config};
use crate::{
    control::{client::ClientError, port::PortError, socket::SocketError},
    daemon::log::LogError,
    kernel::KernelError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{text}")]
    Usage {
        text: &'static str,
        hint: &'static str,
    },
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error("the result is not one that limiter reads: {0}; please report the file that gives it")]
    Import(config::ConfigError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error("{text}")]
    NotExamined { text: String, hint: &'static str },
    #[error("the daemon has stopped")]
    DaemonStopped,
    #[error("start the runtime: {0}")]
    Runtime(io::Error),
    #[error("write to standard output: {0}")]
    Output(io::Error),
    #[error("write {}: {cause}", path.display())]
    Write {
        path: PathBuf,
        cause: io::Error,
        hint: Option<&'static str>,
    },
}

impl Failure {
    /// The contract with scripts.
    fn exit_code(&self) -> u8 {
        match self {
            // The configuration that the daemon was to read again.
            Self::Client(error) if error.is_about_configuration() => 2,
            // `limiter … | head`: who reads has seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Import(_)
            | Self::Kernel(_)
            | Self::Socket(_)
            | Self::Port(_)
            | Self::Log(_)
            | Self::Demo(_)
            | Self::DaemonStopped
            | Self::Runtime(_)
            | Self::Output(_)
            | Self::Write { .. }
            | Self::Client(
                ClientError::Denied { .. }
                | ClientError::Open { .. }
                | ClientError::Refused(_)
                | ClientError::Broken { .. },
            ) => 1,
            Self::Usage { .. } | Self::Config(_) => 2,
            // 1 and 2 would be a verdict.
            Self::Client(ClientError::NoDaemon { .. }) | Self::NotExamined { .. } => 3,
        }
    }

    fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. } => Some(hint),
            Self::NotExamined { hint, .. } => (!hint.is_empty()).then_some(hint),
            Self::Kernel(error) => error.hint.as_deref(),
            Self::Socket(error) => error.hint,
            Self::Port(error) => error.hint(),
            Self::Write { hint, .. } => *hint,
            Self::Demo(error) => error.hint(),
            Self::Client(ClientError::Denied { group, .. }) => Some(match group {
                Some(_) => "run it as root, or become a member of the group",
                None => {
                    "run it as root, or have a group named that may \
                     (group= behind \"control\", or --control-group)"
                }
            }),
            Self::Config(_)
            | Self::Import(_)
            | Self::Log(_)
            | Self::Client(_)
            | Self::DaemonStopped
            | Self::Runtime(_)
            | Self::Output(_) => None,
        }
    }

    /// Whether a daemon was asked, and there is none.
    pub(super) fn is_no_daemon(&self) -> bool {
        matches!(self, Self::Client(ClientError::NoDaemon { .. }))
    }

    /// Says on standard error what went wrong.
    ///
    /// `more` is a hint that only the caller can give.
    pub(super) fn report(&self, more: Option<String>) -> ExitCode {
        let code = self.exit_code();
        if code != 0 {
            eprint!("{}", self.message());
            if let Some(more) = more {
                eprintln!("hint: {more}");
            }
        }
        ExitCode::from(code)
    }

    fn message(&self) -> String {
        match self {
            Self::Config(error) => return config::render(error, false),
            // The daemon has rendered it.
            Self::Client(error) if error.is_about_configuration() => return error.to_string(),
            _ => {}
        }
        let mut message = format!("limiter: {self}\n");
        if let Some(hint) = self.hint() {
            message.push_str(&format!("hint: {hint}\n"));
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_daemon_is_one_sentence_and_code_3() {
        let failure = Failure::from(ClientError::NoDaemon {
            path: "/run/limiter/limiter.sock".into(),
        });
        assert_eq!(failure.exit_code(), 3);
        assert_eq!(
            failure.message(),
            "limiter: no daemon answers at /run/limiter/limiter.sock \
             (is `limiter run` running? --control names another socket)\n"
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(closed.exit_code(), 0);
        let full = Failure::Output(io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit_code(), 1);
    }

    #[test]
    fn a_hint_stands_on_its_own_line() {
        let failure = Failure::from(KernelError {
            operation: "attach",
            object: "limiter_count".to_owned(),
            cause: "Operation not permitted".to_owned(),
            hint: Some("run as root".to_owned()),
        });
        assert_eq!(
            failure.message(),
            "limiter: attach limiter_count: Operation not permitted\nhint: run as root\n"
        );
    }
}
