//! Who owns the control socket's path: one daemon at a time.
//!
//! The lock beside the socket decides, not the socket: it goes with the process that holds it,
//! however that ends, while a socket file stays.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
        net,
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket},
};
use tokio::net::UnixListener;

use super::{DEFAULT_SOCKET, peer::Guard};

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
    /// Takes `path` and listens at once. Needs a tokio runtime.
    pub fn claim(path: &Path) -> Result<Self, SocketError> {
        Claim::take(path)?.listen()
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
        self.guard
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
    /// one that a dead daemon has left.
    pub fn take(path: &Path) -> Result<Self, SocketError> {
        let error = |cause: String, hint| SocketError {
            path: path.to_owned(),
            cause,
            hint,
        };
        if path == Path::new(DEFAULT_SOCKET) {
            create_default_directory(path).map_err(|e| error(e.to_string(), None))?;
        }
        let lock = Lock::take(path).map_err(|(cause, hint)| error(cause, hint))?;
        check_replaceable(path).map_err(|(cause, hint)| error(cause, hint))?;
        let listener = listen(path).map_err(|e| error(e.to_string(), None))?;
        let metadata = fs::metadata(path).map_err(|e| error(e.to_string(), None))?;
        Ok(Self {
            listener,
            guard: Guard {
                uid: nix::unistd::geteuid().as_raw(),
                gid: metadata.gid(),
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

/// What stands in the way, and what to do about it.
type Obstacle = (String, Option<&'static str>);

/// `<socket>.lock`, locked. It stays when the daemon is gone: removing a lock file races with the
/// next one who opens it.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    fn take(socket: &Path) -> Result<Self, Obstacle> {
        let path = with_suffix(socket, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(|e| obstacle_of_lock(&path, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&mut file)),
            Err(TryLockError::Error(e)) => {
                return Err((format!("lock {}: {e}", path.display()), None));
            }
        }
        write_pid(&mut file).map_err(|e| (format!("write {}: {e}", path.display()), None))?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody is here any more. A stale number would do no harm: only a held lock is believed.
        let _ = self.0.set_len(0);
    }
}

fn obstacle_of_lock(path: &Path, error: &io::Error) -> Obstacle {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            Some("create the directory, or name another socket with --control")
        }
        io::ErrorKind::PermissionDenied => {
            Some("run as root, or name another socket with --control")
        }
        _ => None,
    };
    (format!("open {}: {error}", path.display()), hint)
}

fn held(file: &mut File) -> Obstacle {
    let mut pid = String::new();
    // The holder may be just about to write its number.
    let pid = match file.take(32).read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!(" (pid {})", pid.trim()),
        _ => String::new(),
    };
    (
        format!("another limiter{pid} runs on it"),
        Some("stop it, or name another socket with --control"),
    )
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
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
fn listen(path: &Path) -> io::Result<net::UnixListener> {
    let temporary = with_suffix(path, ".new");
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = net::UnixListener::bind(&temporary)?;
    listener.set_nonblocking(true)?;
    let placed = fs::set_permissions(&temporary, Permissions::from_mode(0o660))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(e) = placed {
        let _ = fs::remove_file(&temporary);
        return Err(e);
    }
    Ok(listener)
}

fn create_default_directory(socket: &Path) -> io::Result<()> {
    match socket.parent() {
        Some(directory) => fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory),
        None => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().expect("a directory")
    }

    #[tokio::test]
    async fn the_second_daemon_is_told_about_the_first() {
        let directory = directory();
        let path = directory.path().join("limiter.sock");
        let first = ControlSocket::claim(&path).expect("the first");
        let second = ControlSocket::claim(&path).expect_err("the second");
        assert_eq!(
            second.cause,
            format!("another limiter (pid {}) runs on it", std::process::id())
        );
        tokio::net::UnixStream::connect(&path)
            .await
            .expect("the first is unharmed");
        drop(first);
        assert!(!path.exists());
        ControlSocket::claim(&path).expect("the next");
    }

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced_and_private() {
        let directory = directory();
        let path = directory.path().join("limiter.sock");
        drop(net::UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists());
        let _socket = ControlSocket::claim(&path).expect("the next");
        let mode = fs::metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
    }

    #[tokio::test]
    async fn files_and_strangers_sockets_stay() {
        let directory = directory();
        let file = directory.path().join("file");
        fs::write(&file, "precious").expect("a file");
        let error = ControlSocket::claim(&file).expect_err("a file");
        assert_eq!(error.cause, "the file exists and is not a socket");
        assert_eq!(fs::read(&file).expect("a file"), b"precious");

        let path = directory.path().join("stranger.sock");
        let _stranger = UnixListener::bind(&path).expect("a socket");
        let error = ControlSocket::claim(&path).expect_err("in use");
        assert_eq!(error.cause, "another program listens on it");
    }

    #[tokio::test]
    async fn a_missing_directory_is_named() {
        let error =
            ControlSocket::claim(Path::new("/nonexistent/l.sock")).expect_err("no directory");
        assert!(
            error
                .to_string()
                .starts_with("control socket /nonexistent/l.sock: "),
            "{error}"
        );
        assert!(error.hint.is_some());
    }
}
