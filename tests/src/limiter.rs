//! The real binary, attached to what belongs to one test.

mod ask;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use limiter::api::Reloaded;
use nix::sys::signal::Signal;

use crate::{
    interface,
    netns::NetNs,
    process::{Output, Process, binary, run},
    settle::{PATIENCE, poll},
    world::World,
};

/// A running `limiter run`, killed when dropped.
#[derive(Debug)]
pub struct Limiter {
    process: Process,
    control: PathBuf,
}

/// A `limiter run` that ended before it was ready.
#[derive(Debug)]
pub struct Failed {
    /// Exit code; None if a signal ended it.
    pub code: Option<i32>,
    /// Standard error.
    pub stderr: String,
}

impl Limiter {
    /// Starts one from flags and waits until it is ready. The cgroup and the control socket are
    /// those of the world.
    ///
    /// # Panics
    /// If it does not become ready.
    #[track_caller]
    pub fn start(world: &World, flags: &[&str]) -> Self {
        ready(Self::try_start(world, &world.control(), flags))
    }

    /// Starts one from a configuration, in front of which [`World::attach`] is put.
    ///
    /// # Panics
    /// If it does not become ready.
    #[track_caller]
    pub fn start_config(world: &World, text: &str) -> Self {
        let path = world.write("limiter.conf", &(world.attach() + text));
        let mut command = command();
        command.args(["run", "--config"]).arg(path);
        ready(Self::try_command(&world.netns, &world.control(), command))
    }

    /// Has it read another configuration in place of the one that it was started with, with
    /// [`Self::start_config`].
    ///
    /// # Panics
    /// If it does not take it.
    #[track_caller]
    pub fn reload(&self, world: &World, text: &str) -> Reloaded {
        world.write("limiter.conf", &(world.attach() + text));
        let text = self.cli_ok(&["reload", "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// Starts one from flags.
    ///
    /// # Errors
    /// If it ends before it is ready.
    pub fn try_start(world: &World, control: &Path, flags: &[&str]) -> Result<Self, Failed> {
        Self::try_command(&world.netns, control, Self::command(world, flags))
    }

    /// Starts one from flags in another namespace than that of the servers, as on a host that
    /// limits containers.
    ///
    /// # Panics
    /// If it does not become ready.
    #[track_caller]
    pub fn start_elsewhere(world: &World, netns: &NetNs, flags: &[&str]) -> Self {
        let command = Self::command(world, flags);
        ready(Self::try_command(netns, &world.control(), command))
    }

    /// `limiter run` with flags, attached to the cgroup of the world, and to its interfaces if
    /// [that is wanted](interface).
    pub fn command(world: &World, flags: &[&str]) -> Command {
        let mut command = command();
        command
            .args(["run", "--cgroup"])
            .arg(world.cgroup.path())
            .args(flags);
        for name in interface::wanted(&world.netns) {
            command.args(["--interface", &name]);
        }
        command
    }

    /// The same with the binary of another version, which `cargo xtask test` builds beside the tests.
    ///
    /// # Panics
    /// If it does not become ready, or is not there.
    #[track_caller]
    pub fn start_version(world: &World, version: &str, flags: &[&str]) -> Self {
        let name = format!("limiter-{version}");
        let own = Self::command(world, flags);
        let variable = format!("LIMITER_{}_BIN", version.to_uppercase());
        let mut command = Command::new(binary(&name, &variable));
        command.args(own.get_args());
        for (name, value) in own.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        ready(Self::try_command(&world.netns, &world.control(), command))
    }

    /// Starts a command that is a `limiter run`.
    ///
    /// # Errors
    /// If it ends before it is ready.
    ///
    /// # Panics
    /// If it neither ends nor becomes ready.
    pub fn try_command(
        netns: &NetNs,
        control: &Path,
        mut command: Command,
    ) -> Result<Self, Failed> {
        command.arg("--control").arg(control);
        let mut process = Process::start(command, Some(netns), None);
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match process.stderr().next(left) {
                Some(line) if line.trim() == "ready" => {
                    return Ok(Self {
                        process,
                        control: control.to_owned(),
                    });
                }
                Some(_) => {}
                None => {
                    let status = process.wait(PATIENCE);
                    return Err(Failed {
                        code: status.code(),
                        stderr: process.stderr().text(),
                    });
                }
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its control socket.
    pub fn control(&self) -> &Path {
        &self.control
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        self.process.stderr().text()
    }

    /// Waits until it has said this on standard error: the log is written by a thread of its own.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn must_say(&self, text: &str) {
        let said = poll(PATIENCE, || self.stderr().contains(text));
        assert!(said, "{text:?} is not in: {}", self.stderr());
    }

    /// Runs another command of the binary against it.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> Output {
        cli(&self.control, arguments)
    }

    /// The same, and it must succeed.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        assert_eq!(
            output.code,
            Some(0),
            "limiter {arguments:?}: {}",
            output.stderr
        );
        output.stdout
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Sends it a signal and waits for its end. Returns what it said as well.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        self.process.signal(signal);
        let status = self.process.wait(PATIENCE);
        (status, self.process.stderr().text())
    }
}

/// Runs a command of the binary against a control socket.
#[track_caller]
pub fn cli(control: &Path, arguments: &[&str]) -> Output {
    let mut command = command();
    command.args(arguments).arg("--control").arg(control);
    run(command, None)
}

/// The binary: `$LIMITER_BIN`, else the one that cargo built beside the test.
pub fn command() -> Command {
    let mut command = Command::new(binary("limiter", "LIMITER_BIN"));
    // What a test finds must not depend on who runs it.
    command
        .env_remove("LIMITER_CONTROL")
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C");
    command
}

/// Long enough that no further event of a stream is under way.
pub const QUIET: Duration = Duration::from_millis(1_500);

#[track_caller]
fn ready(started: Result<Limiter, Failed>) -> Limiter {
    started.unwrap_or_else(|failed| {
        panic!(
            "limiter ended with code {:?} before it was ready:\n{}",
            failed.code, failed.stderr
        )
    })
}
