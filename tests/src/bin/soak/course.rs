//! The course of a soak: what has happened, what is in force, what was wrong.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use tests::{figures::println, random::Random};

use super::{
    books,
    crowd::Crowd,
    daemon::Daemon,
    gate::{Gate, Mode},
    load::{self, Load},
    plan::Plan,
    readers::Readers,
    report::Summary,
    scene::Scene,
    servers::Servers,
    watch::Watch,
};

/// Everything of one soak.
pub struct Course<'a> {
    pub scene: &'a Scene,
    pub servers: Servers<'a>,
    pub crowd: Crowd<'a>,
    pub daemon: Daemon<'a>,
    pub readers: Readers<'a>,
    pub gate: &'a Gate,
    pub load: &'a Load,
    pub random: Random,
    pub notes: &'a mut Notes,
    /// What stands in the file.
    pub file: Plan,
    /// That, and what commands have changed since.
    pub plan: Plan,
    pub watch: Watch,
    /// Whether the daemon leaves everything at work when it is stopped.
    pub keeps: bool,
    /// Connections that may have been established in a lost race and still be there: nobody destroys
    /// them while there is no daemon.
    pub spare: u64,
}

/// What the report is made of, whatever happens.
pub struct Notes {
    pub began: Instant,
    /// Events of the schedule by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// The last of them, with when they were.
    recent: VecDeque<String>,
    /// What should not have been.
    pub violations: Vec<String>,
    /// Of which there may be many in a row.
    seen: BTreeSet<String>,
    pub checkpoints: u64,
    /// Accounts that were compared with the kernel's sockets.
    pub compared: u64,
    /// Looks for more than there may be, under load.
    pub looks: u64,
    /// Most connections that were counted at a checkpoint.
    pub most_open: u64,
    /// Figures of the load, as of the last checkpoint.
    pub summary: Option<Summary>,
}

impl Notes {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            events: BTreeMap::new(),
            recent: VecDeque::new(),
            violations: Vec::new(),
            seen: BTreeSet::new(),
            checkpoints: 0,
            compared: 0,
            looks: 0,
            most_open: 0,
            summary: None,
        }
    }

    /// Something is done, with its details.
    pub fn event(&mut self, kind: &'static str, details: &str) {
        *self.events.entry(kind).or_default() += 1;
        if self.recent.len() == 12 {
            self.recent.pop_front();
        }
        let line = format!("{} {kind} {details}", clock(self.began.elapsed()));
        self.recent.push_back(line.trim_end().to_owned());
    }

    /// Something is wrong. The same once more is not said again.
    pub fn violation(&mut self, what: &str) {
        const MOST: usize = 50;
        if !self.seen.insert(what.to_owned()) || self.violations.len() == MOST {
            return;
        }
        let recent: Vec<_> = self
            .recent
            .iter()
            .map(|it| format!("  - before: {it}"))
            .collect();
        let at = clock(self.began.elapsed());
        let text = format!("{at}: {what}\n{}", recent.join("\n"));
        println(&format!("VIOLATION {text}"));
        self.violations.push(text);
    }
}

impl Course<'_> {
    /// Has everybody stand still, with all that they hold.
    pub fn halt(&mut self) {
        self.crowd.say("halt");
        self.gate.say(Mode::Halt, load::THREADS);
    }

    /// And go on.
    pub fn go_on(&mut self) {
        self.gate.say(Mode::Run, load::THREADS);
        self.crowd.say("run");
    }

    /// Another policy is in force.
    pub fn in_force(&mut self, plan: Plan) {
        self.plan = plan;
        let open = books::sockets(self.scene);
        self.watch
            .begin(&self.plan, books::counts(&self.plan, &open));
    }

    /// Looks whether anybody has more than allowed, while the load goes on.
    pub fn look(&mut self) {
        let open = books::open_at_once(self.scene);
        let counts = books::counts(&self.plan, &open);
        // In a lost race one more on every other CPU, for a moment.
        let races = std::thread::available_parallelism().map_or(1, usize::from) as u64 - 1;
        for over in self.watch.check(&self.plan, &counts, races + self.spare) {
            self.notes.violation(&format!("under load, {over}"));
        }
        self.notes.looks += 1;
        self.daemon.look();
    }
}

/// Minutes and seconds.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}
