//! What is known, and what is selected.

use std::{collections::VecDeque, time::Duration};

use super::{
    rates::Rates,
    track::{self, Tracks},
};
use crate::api::{Event, KeyStatus, ServerStatus, SetDryRun, Status, ZoneStatus};

/// Events that can be looked at.
const EVENTS: usize = 200;

/// One reading of the daemon.
#[derive(Clone, Debug)]
pub struct Reading {
    /// `GET /status`.
    pub status: Status,
    /// The selected zone with its busiest keys.
    pub zone: Option<ZoneStatus>,
}

/// What keys are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Most connections first.
    #[default]
    Connections,
    /// Most refusals first.
    Rejected,
    /// Most refusals since the last reading first.
    Rate,
    /// By name.
    Key,
}

/// What the keys of the keyboard mean at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Commands.
    #[default]
    Commands,
    /// Text of the filter.
    Filter,
    /// Anything ends the help.
    Help,
    /// Yes or no.
    Question(Question),
}

/// Whether to switch dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Position of a server; None: all of them.
    pub server: Option<usize>,
}

/// Whether there is a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// It answers.
    Up,
    /// It does not, and why.
    Down(String),
}

/// See the module.
#[derive(Debug)]
pub struct Model {
    /// The last reading.
    pub status: Option<Status>,
    /// The selected zone as it was read last.
    pub zone: Option<ZoneStatus>,
    /// Of each zone, in the order of `status`.
    pub rates: Vec<Rates>,
    /// Name of the selected zone.
    pub selected: Option<String>,
    /// Of the keys of the selected zone.
    pub tracks: Tracks,
    /// Time between the last two readings.
    pub interval: Duration,
    /// The newest at the end.
    pub events: VecDeque<Event>,
    /// Events that could not be shown: too many, or they came while it was paused.
    pub unseen: u64,
    /// What keys are sorted by.
    pub sort: Sort,
    /// Keys and events without this text are not shown.
    pub filter: String,
    /// What the keys of the keyboard mean.
    pub mode: Mode,
    /// Readings are not shown.
    pub is_paused: bool,
    /// What came of the last command.
    pub note: String,
    /// Whether there is a daemon.
    pub link: Link,
}

impl Model {
    /// Begins with a first reading.
    pub fn new(reading: Reading) -> Self {
        let mut model = Self {
            status: None,
            zone: None,
            rates: Vec::new(),
            selected: None,
            tracks: Tracks::default(),
            interval: Duration::ZERO,
            events: VecDeque::new(),
            unseen: 0,
            sort: Sort::default(),
            filter: String::new(),
            mode: Mode::default(),
            is_paused: false,
            note: String::new(),
            link: Link::Up,
        };
        model.read(reading, Duration::ZERO);
        model
    }

    /// One more reading, so long after the one before.
    pub fn read(&mut self, reading: Reading, after: Duration) {
        self.link = Link::Up;
        if self.is_paused {
            return;
        }
        let Reading { status, zone } = reading;
        let before = self.status.as_ref();
        // Another daemon may have begun anew.
        let is_same = before.is_some_and(|it| it.pid == status.pid);
        self.rates = status
            .zones
            .iter()
            .map(|zone| {
                let before = before.filter(|_| is_same);
                let before = before.and_then(|it| it.zones.iter().find(|it| it.zone == zone.zone));
                before.map_or_else(Rates::default, |it| Rates::between(it, zone, after))
            })
            .collect();
        self.interval = after;
        let is_there = |name: &String| status.zones.iter().any(|zone| zone.zone == *name);
        if !self.selected.as_ref().is_some_and(is_there) {
            let first = status.zones.first().map(|zone| zone.zone.clone());
            self.select(first);
        }
        self.status = Some(status);
        if let Some(zone) = zone.filter(|zone| Some(&zone.zone) == self.selected.as_ref()) {
            self.tracks.add(zone.top.as_deref().unwrap_or_default());
            self.zone = Some(zone);
        }
    }

    /// The daemon does not answer.
    pub fn lose(&mut self, why: String) {
        self.link = Link::Down(why);
    }

    /// One more event.
    pub fn see(&mut self, event: Event) {
        if self.is_paused {
            self.unseen += 1;
            return;
        }
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// The servers of the last reading.
    pub fn servers(&self) -> &[ServerStatus] {
        self.status.as_ref().map_or(&[], |it| &it.servers)
    }

    /// All zones together.
    pub fn total(&self) -> Rates {
        self.rates
            .iter()
            .fold(Rates::default(), |sum, it| sum.with(*it))
    }

    /// The keys that are to be shown, in their order, with their text.
    pub fn keys(&self) -> Vec<(String, &KeyStatus)> {
        let keys = self.zone.as_ref().and_then(|zone| zone.top.as_ref());
        let mut keys: Vec<_> = keys
            .into_iter()
            .flatten()
            .map(|key| (track::text(&key.parts), key))
            .filter(|(text, _)| text.contains(&self.filter))
            .collect();
        // Stable, and they come by connections.
        keys.sort_by_key(|(text, key)| {
            std::cmp::Reverse(match self.sort {
                Sort::Connections => u64::from(key.connections),
                Sort::Rejected => key.rejected,
                Sort::Rate => self.tracks.refused(text),
                Sort::Key => 0,
            })
        });
        if self.sort == Sort::Key {
            keys.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        keys
    }

    /// Selects the zone so many places below.
    pub fn move_selection(&mut self, by: isize) {
        let Some(status) = &self.status else { return };
        let position = status
            .zones
            .iter()
            .position(|zone| Some(&zone.zone) == self.selected.as_ref());
        let last = status.zones.len().saturating_sub(1);
        let next = position.unwrap_or(0).saturating_add_signed(by).min(last);
        let name = status.zones.get(next).map(|zone| zone.zone.clone());
        if name != self.selected {
            self.select(name);
        }
    }

    /// What a yes to the question asks for. None: there is no server.
    pub fn answer(&self, question: &Question) -> Option<SetDryRun> {
        let servers = self.servers();
        match question.server {
            Some(position) => servers.get(position).map(|server| SetDryRun {
                on: !server.dry_run,
                server: Some(server.server.clone()),
            }),
            None if servers.is_empty() => None,
            None => Some(SetDryRun {
                on: !servers.iter().all(|server| server.dry_run),
                server: None,
            }),
        }
    }

    fn select(&mut self, name: Option<String>) {
        self.selected = name;
        self.zone = None;
        self.tracks = Tracks::default();
    }
}
