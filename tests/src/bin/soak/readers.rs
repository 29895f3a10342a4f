//! Readers of events that come, stop reading, and go.

use std::process::{Child, Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::{limiter, process::place, random::Random};

use super::scene::Scene;

/// `limiter events`, several times.
pub struct Readers<'a> {
    scene: &'a Scene,
    readers: Vec<Child>,
}

impl<'a> Readers<'a> {
    /// None yet.
    pub fn new(scene: &'a Scene) -> Self {
        let readers = Vec::new();
        Self { scene, readers }
    }

    /// One comes, or goes, or does not read for a while; which of these.
    pub fn change(&mut self, random: &mut Random) -> &'static str {
        const MOST: usize = 4;
        if self.readers.len() < MOST && (self.readers.is_empty() || random.once_in(2)) {
            let mut command = limiter::command();
            command.args(["events", "--json", "--control"]);
            command.arg(self.scene.world.control());
            command.args(random.one_of(&[&["--all"][..], &[], &["--zone", "addr"]]));
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            place(&mut command, None, None);
            self.readers
                .push(command.spawn().expect("start limiter events"));
            return "a reader of events comes";
        }
        let which = random.below(self.readers.len());
        match random.below(3) {
            0 => {
                signal(&self.readers[which], Signal::SIGSTOP);
                "a reader of events stops reading"
            }
            1 => {
                signal(&self.readers[which], Signal::SIGCONT);
                "a reader of events goes on reading"
            }
            _ => {
                end(self.readers.swap_remove(which));
                "a reader of events goes"
            }
        }
    }
}

impl Drop for Readers<'_> {
    fn drop(&mut self) {
        self.readers.drain(..).for_each(end);
    }
}

fn signal(reader: &Child, signal: Signal) {
    // It fails only if the reader has ended.
    let _ = kill(
        Pid::from_raw(i32::try_from(reader.id()).expect("fits")),
        signal,
    );
}

fn end(mut reader: Child) {
    let _ = reader.kill();
    let _ = reader.wait();
}
