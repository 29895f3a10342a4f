//! The processes of clients, from outside.

use std::{net::IpAddr, process::Command};

use nix::sys::signal::Signal;
use tests::{netns::NetNs, process::Process, random::Random, settle::PATIENCE};

use super::clients::Figures;

/// Several of them.
pub struct Crowd<'a> {
    processes: Vec<(Place<'a>, Process)>,
    /// Of those that were killed, as far as they had said.
    before: Vec<Figures>,
    last: Vec<Figures>,
}

/// Where a process of clients is, and what it does there.
pub struct Place<'a> {
    /// Its namespace.
    pub netns: &'a NetNs,
    /// Its clients' addresses.
    pub from: Vec<IpAddr>,
    /// Servers.
    pub to: Vec<&'static str>,
}

impl<'a> Crowd<'a> {
    /// Starts one in each place.
    pub fn start(places: Vec<Place<'a>>, random: &mut Random) -> Self {
        let processes: Vec<_> = places
            .into_iter()
            .map(|place| {
                let process = start(&place, random);
                (place, process)
            })
            .collect();
        Self {
            before: Vec::new(),
            last: vec![Figures::default(); processes.len()],
            processes,
        }
    }

    /// Has all of them do something: `halt`, `run`, `drain`. It is done when this returns.
    pub fn say(&mut self, command: &str) {
        for (_, process) in &mut self.processes {
            process.say(command);
        }
        for ((_, process), last) in self.processes.iter().zip(&mut self.last) {
            let line = process.stdout().next(PATIENCE);
            let line = line
                .unwrap_or_else(|| panic!("clients do not {command}: {}", process.stderr().text()));
            *last = serde_json::from_str(&line).expect("figures in JSON");
        }
    }

    /// Kills one, and starts another in its place.
    pub fn kill_one(&mut self, random: &mut Random) {
        let which = random.below(self.processes.len());
        let (place, process) = &mut self.processes[which];
        process.signal(Signal::SIGKILL);
        process.wait(PATIENCE);
        *process = start(place, random);
        self.before.push(std::mem::take(&mut self.last[which]));
    }

    /// What has become of all attempts, as far as they have said.
    pub fn figures(&self) -> Figures {
        let all = self.before.iter().chain(&self.last);
        all.fold(Figures::default(), |sum, one| sum.plus(*one))
    }
}

fn start(place: &Place<'_>, random: &mut Random) -> Process {
    let own = std::env::current_exe().expect("path of this program");
    let mut command = Command::new(own);
    command.args(["clients", "--seed", &random.number().to_string()]);
    for from in &place.from {
        command.args(["--from", &from.to_string()]);
    }
    for to in &place.to {
        command.args(["--to", to]);
    }
    Process::start(command, Some(place.netns), None)
}
