//! A terminal, and what stands on its screen: tmux, with a server of the test's own.

use std::{path::PathBuf, process::Command};

use crate::{debian, process, settle::PATIENCE, settle::poll, world::World};

/// A terminal with a shell in it. Ends, with all that runs in it, when dropped.
#[derive(Debug)]
pub struct Tmux {
    program: PathBuf,
    socket: PathBuf,
}

impl Tmux {
    /// One of this size.
    ///
    /// # Panics
    /// If tmux cannot be had.
    pub fn start(world: &World, columns: u16, lines: u16) -> Self {
        let tmux = Self {
            program: debian::program("tmux"),
            socket: world.path("tmux.sock"),
        };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        tmux.run(&[
            "-f",
            "/dev/null",
            "-u",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &lines,
            "sh",
        ]);
        tmux
    }

    /// Types a line into it.
    pub fn say(&self, line: &str) {
        self.run(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    /// Presses a key, by the name that tmux has for it.
    pub fn press(&self, key: &str) {
        self.run(&["send-keys", key]);
    }

    /// What stands on the screen.
    pub fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// Gives it another size.
    pub fn resize(&self, columns: u16, lines: u16) {
        let (columns, lines) = (columns.to_string(), lines.to_string());
        self.run(&["resize-window", "-x", &columns, "-y", &lines]);
    }

    /// What tmux knows of it, for instance `alternate_on`.
    pub fn ask(&self, variable: &str) -> String {
        let format = format!("#{{{variable}}}");
        let answer = self.run(&["display-message", "-p", &format]);
        answer.trim().to_owned()
    }

    /// Waits until the screen is as it should be.
    ///
    /// # Panics
    /// With what stands there, if it does not become so.
    #[track_caller]
    pub fn must_show(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        if !poll(PATIENCE, || is_so(&self.screen())) {
            panic!("{what} is not on the screen:\n{}", self.screen());
        }
    }

    /// Waits until this text is on the screen.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn must_say(&self, text: &str) {
        self.must_show(text, |screen| screen.contains(text));
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let output = process::run(self.command(arguments), None);
        assert_eq!(
            output.code,
            Some(0),
            "tmux {arguments:?}: {}",
            output.stderr
        );
        output.stdout
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("-S")
            .arg(&self.socket)
            .args(arguments)
            .env_remove("TMUX")
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8");
        if let Some(libraries) = debian::libraries(&self.program) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It has ended if the shell has.
        let _ = self.command(&["kill-server"]).output();
    }
}
