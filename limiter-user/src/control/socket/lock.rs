//! The lock beside the socket.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::with_suffix;

/// What stands in the way, and what to do about it.
pub(super) type Obstacle = (String, Option<&'static str>);

/// `<socket>.lock`, locked. It stays when the daemon is gone: removing a lock file races with the
/// next one who opens it.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    pub(super) fn take(socket: &Path) -> Result<Self, Obstacle> {
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
