//! The daemon, one life after the other, and what it uses.

use std::{collections::BTreeMap, fs, time::Duration};

use nix::sys::signal::Signal;
use tests::{Limiter, limiter, usage::Usage};

use super::scene::Scene;

/// What it uses at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub memory_bytes: u64,
    pub descriptors: usize,
    /// What the kernel charges for its maps.
    pub maps_bytes: u64,
}

impl Sample {
    fn most(self, other: Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            descriptors: self.descriptors.max(other.descriptors),
            maps_bytes: self.maps_bytes.max(other.maps_bytes),
        }
    }
}

/// The daemon.
pub struct Daemon<'a> {
    scene: &'a Scene,
    limiter: Option<Limiter>,
    /// Of those that have ended.
    cpu_before: Duration,
    cpu_now: Duration,
    /// The first one, when it was ready.
    pub begin: Sample,
    /// Most of each.
    pub most: Sample,
    /// The last look.
    pub last: Sample,
    /// How many there were.
    pub lives: u64,
    /// What it logged from `warn` on, without numbers, and how often.
    pub said: BTreeMap<String, u64>,
}

impl<'a> Daemon<'a> {
    /// None runs yet.
    pub fn new(scene: &'a Scene) -> Self {
        Self {
            scene,
            limiter: None,
            cpu_before: Duration::ZERO,
            cpu_now: Duration::ZERO,
            begin: Sample::default(),
            most: Sample::default(),
            last: Sample::default(),
            lives: 0,
            said: BTreeMap::new(),
        }
    }

    /// Writes the configuration that it reads at a start and a reload.
    pub fn write(&self, text: &str) {
        let world = &self.scene.world;
        world.write("limiter.conf", &(world.attach() + text));
    }

    /// Starts one with what is written. With `keep` it leaves everything at work when it is stopped.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start(&mut self, keep: bool) {
        let world = &self.scene.world;
        let mut command = limiter::command();
        command
            .args(["run", "--config"])
            .arg(world.path("limiter.conf"));
        if keep {
            command.arg("--keep");
        }
        let started = Limiter::try_command(&world.netns, &world.control(), command);
        let started = started.unwrap_or_else(|failed| {
            panic!(
                "the daemon does not start ({:?}): {}",
                failed.code, failed.stderr
            )
        });
        self.limiter = Some(started);
        self.lives += 1;
        self.look();
        if self.lives == 1 {
            self.begin = self.last;
        }
    }

    /// Ends it with a signal; whether it called that a success.
    pub fn end(&mut self, signal: Signal) -> bool {
        self.look();
        self.cpu_before += self.cpu_now;
        self.cpu_now = Duration::ZERO;
        let (status, said) = self.limiter.take().expect("it runs").end(signal);
        let directory = self.scene.world.path("").display().to_string();
        for line in said.replace(&directory, "").lines() {
            let loud = ["[warn] ", "[error] ", "panicked"]
                .iter()
                .find_map(|it| line.find(it));
            if let Some(begin) = loud {
                *self
                    .said
                    .entry(without_numbers(&line[begin..]))
                    .or_default() += 1;
            }
        }
        status.success()
    }

    /// The one that runs.
    pub fn limiter(&self) -> &Limiter {
        self.limiter.as_ref().expect("it runs")
    }

    /// Whether it does.
    pub fn runs(&mut self) -> bool {
        self.limiter.as_mut().is_some_and(Limiter::runs)
    }

    /// CPU time of all of them.
    pub fn cpu_time(&self) -> Duration {
        self.cpu_before + self.cpu_now
    }

    /// Looks at what it uses now.
    pub fn look(&mut self) {
        let id = self.limiter().id();
        let usage = Usage::of(id);
        self.cpu_now = usage.cpu_time;
        self.last = Sample {
            memory_bytes: usage.memory_bytes,
            descriptors: usage.descriptors,
            maps_bytes: maps_bytes(id),
        };
        self.most = self.most.most(self.last);
    }
}

/// Each map once, however many descriptors it has (kernel/bpf/syscall.c, bpf_map_show_fdinfo).
fn maps_bytes(id: u32) -> u64 {
    let mut maps = BTreeMap::new();
    let infos = fs::read_dir(format!("/proc/{id}/fdinfo"))
        .into_iter()
        .flatten();
    for info in infos.flatten() {
        let text = fs::read_to_string(info.path()).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse::<u64>().ok())
        };
        if let (Some(map), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            maps.insert(map, bytes);
        }
    }
    maps.values().sum()
}

fn without_numbers(line: &str) -> String {
    let mut text = String::new();
    for letter in line.chars() {
        match letter {
            '0'..='9' if text.ends_with('N') => {}
            '0'..='9' => text.push('N'),
            other => text.push(other),
        }
    }
    text
}
