//! Why there is no answer.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::super::refusal::Refusal;
use crate::api::ErrorDetail;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no socket, or nobody listens on it.
    #[error(
        "no daemon answers at {} (is `limiter run` running? --control names another socket)",
        path.display()
    )]
    NoDaemon {
        /// The socket.
        path: PathBuf,
    },
    /// We may not open the socket.
    #[error(
        "may not open control socket {}: only root{} may",
        path.display(),
        group.as_deref().map(|it| format!(" and the members of group {it:?}")).unwrap_or_default()
    )]
    Denied {
        /// The socket.
        path: PathBuf,
        /// The group that may, if we can see it.
        group: Option<String>,
    },
    /// The socket cannot be opened.
    #[error("open control socket {}: {cause}", path.display())]
    Open {
        /// The socket.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The daemon refuses.
    #[error("{}", .0.text)]
    Refused(ErrorDetail),
    /// The conversation broke off or made no sense.
    #[error("control socket {}: {cause}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        cause: String,
    },
}

impl ClientError {
    pub(super) fn denied(path: PathBuf) -> Self {
        Self::Denied {
            group: group_of(&path),
            path,
        }
    }

    /// The configuration that the daemon was to read again is wrong.
    pub fn is_about_configuration(&self) -> bool {
        matches!(self, Self::Refused(detail) if detail.code == Refusal::BAD_CONFIGURATION)
    }
}

/// The group that a socket was given to. Root's is given to nobody.
fn group_of(socket: &Path) -> Option<String> {
    let gid = std::fs::metadata(socket).ok()?.gid();
    if gid == 0 {
        return None;
    }
    let group = nix::unistd::Group::from_gid(gid.into()).ok().flatten();
    Some(group.map_or_else(|| gid.to_string(), |group| group.name))
}
