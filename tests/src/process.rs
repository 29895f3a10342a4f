//! A child process that ends with its guard.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    os::{fd::FromRawFd, unix::process::ExitStatusExt},
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

pub use self::{lines::Lines, place::place};
use crate::{
    cgroup::Cgroup,
    netns::NetNs,
    settle::{poll, settle},
};

mod lines;
mod place;

/// A running child. Killed, by its id, when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

impl Process {
    /// Starts `command` inside `netns` and, if given, `cgroup`. It joins both before its first
    /// instruction, so every socket that it makes belongs there.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(mut command: Command, netns: Option<&NetNs>, cgroup: Option<&Cgroup>) -> Self {
        place(&mut command, netns, cgroup);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("start {:?}: {e}", command.get_program()));
        Self {
            stdin: child.stdin.take(),
            stdout: Lines::follow(child.stdout.take().expect("piped")),
            stderr: Lines::follow(child.stderr.take().expect("piped")),
            child,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, line by line.
    pub fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// Its standard error, line by line.
    pub fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    /// If it does not read any more.
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is still open");
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .unwrap_or_else(|e| panic!("write {line:?} to the process: {e}"));
    }

    /// Sends it a signal. With SIGSTOP it has stopped when this returns.
    ///
    /// # Panics
    /// If it has been waited for already.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("process ids fit"));
        kill(id, signal).unwrap_or_else(|e| panic!("send {signal} to process {id}: {e}"));
        if signal == Signal::SIGSTOP {
            settle("stopped", true, || has_stopped(id));
        }
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// If the kernel does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait for the process")
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When `patience` is over.
    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let mut status = None;
        poll(patience, || {
            status = self.ended();
            status.is_some()
        });
        let status = status.unwrap_or_else(|| {
            panic!(
                "process {} does not end; it said:\n{}",
                self.child.id(),
                self.stderr.text()
            )
        });
        self.stdout.wait_for_end(patience);
        self.stderr.wait_for_end(patience);
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process that ran to its end left behind.
#[derive(Debug)]
pub struct Output {
    /// Exit code; None if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs `command` to its end.
///
/// # Panics
/// If it cannot be started, or does not end.
#[track_caller]
pub fn run(command: Command, netns: Option<&NetNs>) -> Output {
    let mut process = Process::start(command, netns, None);
    drop(process.stdin.take());
    let status = process.wait(crate::settle::PATIENCE);
    Output {
        code: status.code(),
        signal: status.signal(),
        stdout: process.stdout.text(),
        stderr: process.stderr.text(),
    }
}

/// A binary of this workspace: `$VARIABLE`, else where cargo put it, next to the test.
///
/// # Panics
/// If it is not there.
pub fn binary(name: &str, variable: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("path of the test");
    let in_deps = test.parent().expect("a directory");
    let directory = if in_deps.file_name() == Some(OsStr::new("deps")) {
        in_deps.parent().expect("a directory")
    } else {
        in_deps
    };
    let path = directory.join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo xtask test` (or `cargo build --workspace` with the same profile) first, or say in {variable} where it is",
        path.display()
    );
    path
}

/// Standard input of this process as a file, for programs that wait on it with others.
pub fn stdin_file() -> File {
    // SAFETY: descriptor 0 is open and is given to one owner, once per process.
    unsafe { File::from_raw_fd(0) }
}

/// Whether every thread is stopped: one that runs goes on until it is told (proc_pid_stat(5)).
fn has_stopped(process: Pid) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name, in parentheses, may have anything in it.
        stat.rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}
