//! Who owns the control socket's path: one daemon at a time.
//!
//! The lock beside the socket decides, not the socket: it goes with the process that holds it,
//! however that ends, while a socket file stays.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, lchown},
        net,
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket},
};
use tokio::net::UnixListener;

use self::lock::{Lock, Obstacle};
use super::{DEFAULT_SOCKET, peer::Guard};
use crate::policy::{Grant, Others};

mod lock;

/// Why the control socket is not ours.
#[derive(Debug, thiserror::Error)]
#[error("control socket {}: {cause}", path.display())]
pub struct SocketError {
    /// The socket.
    pub path: PathBuf,
    /// What stands in the way.
    pub cause: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// A listening socket that nobody else has. Dropping it removes the socket's file.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    guard: Guard,
    // After the listener: the path is free for the next daemon only when nobody listens any more.
    place: Place,
}

impl ControlSocket {
    /// Takes `path` for root and the daemon's user only, and listens at once. Needs a tokio runtime.
    pub fn claim(path: &Path) -> Result<Self, SocketError> {
        Claim::take(path, &Grant::default())?.listen()
    }

    /// The socket's file.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Where peers arrive.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Who may do what.
    pub fn guard(&self) -> Guard {
        self.guard.clone()
    }
}

/// A control socket before there is a runtime: peers wait. Making it may take privileges that
/// listening does not.
#[derive(Debug)]
pub struct Claim {
    listener: net::UnixListener,
    guard: Guard,
    place: Place,
}

impl Claim {
    /// Takes `path`: locks it for the life of this value, puts the listening socket in place of
    /// one that a dead daemon has left. Whom `grant` names can open it.
    pub fn take(path: &Path, grant: &Grant) -> Result<Self, SocketError> {
        let error = |cause: String, hint| SocketError {
            path: path.to_owned(),
            cause,
            hint,
        };
        if path.parent() == Path::new(DEFAULT_SOCKET).parent() {
            create_default_directory(path).map_err(|e| error(e.to_string(), None))?;
        }
        let lock = Lock::take(path).map_err(|(cause, hint)| error(cause, hint))?;
        check_replaceable(path).map_err(|(cause, hint)| error(cause, hint))?;
        let listener = listen(path, grant).map_err(|(cause, hint)| error(cause, hint))?;
        Ok(Self {
            listener,
            guard: Guard {
                uid: nix::unistd::geteuid().as_raw(),
                grant: grant.clone(),
            },
            place: Place {
                path: path.to_owned(),
                _lock: lock,
            },
        })
    }

    /// Begins to take peers. Needs a tokio runtime.
    pub fn listen(self) -> Result<ControlSocket, SocketError> {
        let error = |e: io::Error| SocketError {
            path: self.place.path.clone(),
            cause: e.to_string(),
            hint: None,
        };
        Ok(ControlSocket {
            listener: UnixListener::from_std(self.listener).map_err(error)?,
            guard: self.guard,
            place: self.place,
        })
    }
}

/// The socket's file, and the lock beside it.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    _lock: Lock,
}

impl Drop for Place {
    fn drop(&mut self) {
        // The lock is still held, so this is our file. If it is gone already, all the better.
        let _ = fs::remove_file(&self.path);
    }
}

/// Only a socket that nobody listens on is replaced.
fn check_replaceable(path: &Path) -> Result<(), Obstacle> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err((e.to_string(), None)),
        Ok(metadata) if !metadata.file_type().is_socket() => Err((
            "the file exists and is not a socket".to_owned(),
            Some("name another socket with --control"),
        )),
        Ok(_) if is_stale(path) => Ok(()),
        Ok(_) => Err((
            "another program listens on it".to_owned(),
            Some("name another socket with --control"),
        )),
    }
}

fn is_stale(path: &Path) -> bool {
    let attempt = || {
        let probe = socket(
            AddressFamily::Unix,
            SockType::Stream,
            // A listener with a full backlog must not make us wait.
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )?;
        connect(
            std::os::fd::AsRawFd::as_raw_fd(&probe),
            &UnixAddr::new(path)?,
        )
    };
    matches!(attempt(), Err(Errno::ECONNREFUSED | Errno::ENOENT))
}

/// Binds beside the path and moves the socket there, so that it never stands there with other
/// permissions, and takes the place of a stale one in one step.
fn listen(path: &Path, grant: &Grant) -> Result<net::UnixListener, Obstacle> {
    let plain = |e: io::Error| (e.to_string(), None);
    let temporary = with_suffix(path, ".new");
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(plain(e)),
        _ => {}
    }
    let listener = net::UnixListener::bind(&temporary).map_err(plain)?;
    let placed = listener
        .set_nonblocking(true)
        .map_err(plain)
        .and_then(|()| open_to(&temporary, grant))
        .and_then(|()| fs::rename(&temporary, path).map_err(plain));
    if let Err(obstacle) = placed {
        let _ = fs::remove_file(&temporary);
        return Err(obstacle);
    }
    Ok(listener)
}

/// Gives the socket to the group, or to our own, whatever the directory would give it to. The guard
/// asks everybody who gets in once more, and says what is missing.
fn open_to(socket: &Path, grant: &Grant) -> Result<(), Obstacle> {
    let gid = match &grant.group {
        Some(group) => group.gid,
        None => nix::unistd::getegid().as_raw(),
    };
    lchown(socket, None, Some(gid)).map_err(|e| {
        let group = grant
            .group
            .as_ref()
            .map_or("our own", |it| it.name.as_str());
        (
            format!("give it to the group {group}: {e}"),
            Some("run as root, with CAP_CHOWN, or as a member of the group"),
        )
    })?;
    let mode = match grant.others {
        Others::Nothing => 0o660,
        Others::Read => 0o666,
    };
    fs::set_permissions(socket, Permissions::from_mode(mode)).map_err(|e| (e.to_string(), None))
}

/// Everybody may see what is in it; an umask would forbid that.
fn create_default_directory(socket: &Path) -> io::Result<()> {
    match socket.parent() {
        Some(directory) if !directory.exists() => {
            fs::create_dir_all(directory)?;
            fs::set_permissions(directory, Permissions::from_mode(0o755))
        }
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
