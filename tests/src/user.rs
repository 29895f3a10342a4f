//! Somebody else than root.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use crate::{
    World, limiter,
    process::{self, Output},
};

/// A user and the groups it is in. Both need not be known to the machine.
#[derive(Clone, Debug)]
pub struct User {
    /// Number of the user; it is that of its own group, too.
    pub uid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl User {
    /// One that is in no other groups than these.
    pub fn new(uid: u32, groups: &[u32]) -> Self {
        Self {
            uid,
            groups: groups.to_vec(),
        }
    }

    /// Does `work` as this user, on a thread of its own.
    ///
    /// # Panics
    /// If the work does, or we are not root.
    pub fn act<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.become_it()
                    .unwrap_or_else(|e| panic!("become user {}: {e}", self.uid));
                work()
            });
            match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Runs a command of the limiter against a control socket, as this user.
    #[track_caller]
    pub fn cli(&self, binary: &Path, control: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary);
        command
            .env_clear()
            .args(arguments)
            .arg("--control")
            .arg(control);
        let user = self.clone();
        // SAFETY: between fork and exec only system calls are made; nothing allocates.
        unsafe {
            command.pre_exec(move || user.become_it());
        }
        process::run(command, None)
    }

    /// Of the calling thread only: the C library would change all threads.
    fn become_it(&self) -> io::Result<()> {
        let check = |result: libc::c_long| match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        };
        let uid = self.uid;
        // SAFETY: the kernel reads as many numbers as the list has.
        check(unsafe {
            libc::syscall(libc::SYS_setgroups, self.groups.len(), self.groups.as_ptr())
        })?;
        // SAFETY: these take numbers only.
        check(unsafe { libc::syscall(libc::SYS_setresgid, uid, uid, uid) })?;
        // SAFETY: as above.
        check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
    }
}

/// Lets everybody into the directory of the test, and puts the limiter there, so that everybody can
/// run it.
///
/// # Panics
/// If it cannot be copied.
pub fn open_world(world: &World) -> PathBuf {
    let binary = world.path("limiter");
    let directory = binary.parent().expect("a directory");
    let from = limiter::command();
    fs::set_permissions(directory, Permissions::from_mode(0o755))
        .and_then(|()| fs::copy(from.get_program(), &binary))
        .and_then(|_| fs::set_permissions(&binary, Permissions::from_mode(0o755)))
        .unwrap_or_else(|e| panic!("copy the limiter to {}: {e}", binary.display()));
    binary
}
