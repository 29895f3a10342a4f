//! A child process that ends with its guard.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{cgroup::Cgroup, netns::NetNs, settle::poll};

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

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has been waited for already.
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("process ids fit"));
        kill(id, signal).unwrap_or_else(|e| panic!("send {signal} to process {id}: {e}"));
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

/// Makes `command` start inside `netns` and `cgroup`, and end with the calling thread.
pub fn place(command: &mut Command, netns: Option<&NetNs>, cgroup: Option<&Cgroup>) {
    use std::os::fd::AsFd;
    let netns = netns.map(|netns| {
        netns
            .as_fd()
            .try_clone_to_owned()
            .expect("duplicate a descriptor")
    });
    let procs = cgroup.map(Cgroup::procs);
    // SAFETY: between fork and exec only system calls are made; nothing allocates.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 {
                return Err(io::Error::last_os_error());
            }
            if let Some(procs) = &procs {
                write_zero(procs)?;
            }
            if let Some(netns) = &netns {
                setns(netns, CloneFlags::CLONE_NEWNET)?;
            }
            Ok(())
        });
    }
}

fn write_zero(procs: &File) -> io::Result<()> {
    // SAFETY: one byte of a static string is written to an open descriptor.
    if unsafe { libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) } != 1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
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
        "{} is not built: run `cargo build --workspace` with the same profile first, or say in {variable} where it is",
        path.display()
    );
    path
}

/// Lines of a pipe, read as they come, so that the process never blocks on it.
#[derive(Clone, Debug)]
pub struct Lines {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    taken: usize,
    ended: bool,
}

impl Lines {
    fn follow(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self {
            shared: Arc::default(),
        };
        let writer = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                writer.change(|state| state.lines.push(line));
            }
            writer.change(|state| state.ended = true);
        });
        lines
    }

    /// Takes the next line; None if time is up or the pipe is closed.
    pub fn next(&self, patience: Duration) -> Option<String> {
        self.wait(patience, |state| {
            let line = state.lines.get(state.taken)?.clone();
            state.taken += 1;
            Some(line)
        })
    }

    /// Everything so far, whether taken or not.
    pub fn text(&self) -> String {
        let (state, _) = &*self.shared;
        state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lines
            .join("\n")
    }

    fn wait_for_end(&self, patience: Duration) {
        self.wait(patience, |state| state.ended.then_some(()));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (state, changed) = &*self.shared;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    fn wait<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + patience;
        let (state, changed) = &*self.shared;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Standard input of this process as a file, for programs that wait on it with others.
pub fn stdin_file() -> File {
    // SAFETY: descriptor 0 is open and is given to one owner, once per process.
    unsafe { File::from_raw_fd(0) }
}
