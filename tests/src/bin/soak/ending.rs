//! The end: everything is closed, everything counted is given back, and nothing is left over.

use std::{fs, path::PathBuf, thread::sleep, time::Duration};

use nix::sys::signal::Signal;
use tests::{
    link,
    programs::{self, Programs},
    settle::{PATIENCE, poll},
};

use super::{
    course::{Course, Notes},
    gate::Mode,
    load,
    scene::Scene,
};

impl Course<'_> {
    /// Closes everything and stops the daemon.
    pub fn end(&mut self) {
        self.crowd.say("drain");
        self.gate.say(Mode::Drain, load::THREADS);
        // What a server holds, the kernel closes with it.
        self.servers.end();
        let daemon = &self.daemon;
        let is_closed = || {
            daemon
                .limiter()
                .status()
                .zones
                .iter()
                .all(|it| it.connections == 0)
        };
        poll(PATIENCE, is_closed);
        self.compare();
        self.nothing_counts();
        self.note_summary();
        let status = self.daemon.limiter().status();
        self.daemon.end(Signal::SIGTERM);
        let control = self.scene.world.control();
        let detached = tests::limiter::cli(&control, &["detach"]);
        if detached.code != Some(0) {
            let said = detached.stderr.trim();
            self.notes
                .violation(&format!("limiter detach fails: {said}"));
        }
        self.nothing_attached(status.pinned);
    }

    fn nothing_counts(&mut self) {
        let status = self.daemon.limiter().status();
        for zone in &status.zones {
            if (zone.connections, zone.keys) != (0, 0) {
                self.notes
                    .violation(&format!("all is closed, and {zone:?}"));
            }
        }
        let servers = status.upstreams.iter().flat_map(|it| &it.servers);
        for server in servers.filter(|it| it.active > 0) {
            self.notes
                .violation(&format!("all is closed, and {server:?}"));
        }
    }

    fn nothing_attached(&mut self, pinned: Option<String>) {
        let world = &self.scene.world;
        let pinned = pinned.map(PathBuf::from);
        if pinned.as_ref().is_none_or(|it| it.exists()) {
            self.notes
                .violation(&format!("what was pinned is left: {pinned:?}"));
        }
        let at_cgroup = Programs::attached(world.cgroup.path());
        let at_lookup = programs::at_lookup(&world.netns);
        if (at_cgroup, at_lookup) != (Programs::NONE, 0) {
            let what = format!(
                "programs are left at the cgroup ({at_cgroup:?}) or at sk_lookup ({at_lookup})"
            );
            self.notes.violation(&what);
        }
        for interface in ["veth0", "lo"] {
            let left = link::xdp(&world.netns, interface);
            if !left.is_empty() {
                self.notes
                    .violation(&format!("programs are left at {interface}: {left:?}"));
            }
        }
    }
}

/// What must be gone when the scene is.
pub struct Left {
    cgroup: PathBuf,
    namespaces: Vec<u64>,
}

impl Left {
    /// Of this scene.
    pub fn of(scene: &Scene) -> Self {
        Self {
            cgroup: scene.world.cgroup.path().to_owned(),
            namespaces: scene.namespaces(),
        }
    }

    /// Looks for it.
    pub fn check(&self, notes: &mut Notes) {
        if self.cgroup.exists() {
            notes.violation(&format!("{} is left", self.cgroup.display()));
        }
        // Processes that were killed may be on their way out.
        sleep(Duration::from_millis(200));
        for namespace in &self.namespaces {
            let holders = holders(*namespace);
            if !holders.is_empty() {
                notes.violation(&format!("a network namespace is left, held by {holders:?}"));
            }
        }
    }
}

/// Processes that are in a network namespace, or have a descriptor of it.
fn holders(namespace: u64) -> Vec<PathBuf> {
    let name = PathBuf::from(format!("net:[{namespace}]"));
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
    let processes = entries("/proc".into()).map(|it| it.path());
    processes
        .filter(|process| {
            let links = entries(process.join("fd")).map(|it| it.path());
            links
                .chain([process.join("ns/net")])
                .any(|link| fs::read_link(link).is_ok_and(|it| it == name))
        })
        .collect()
}
