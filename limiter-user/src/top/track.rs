//! How many connections a key had lately.

use std::collections::{HashMap, VecDeque};

use crate::api::{KeyParts, KeyStatus};

/// Readings that are remembered.
pub const LENGTH: usize = 30;

/// Keys that are remembered: those of the screen change places, and come back.
const KEYS: usize = 1_000;

/// A key in one line.
pub fn text(key: &KeyParts) -> String {
    let mut parts: Vec<_> = key.client().into_iter().collect();
    if let Some(addr) = key.server_addr {
        parts.push(format!("to {addr}"));
    }
    if let Some(port) = key.server_port {
        parts.push(format!("port {port}"));
    }
    parts.extend(key.server_name.clone());
    if parts.is_empty() {
        // All connections have the same key.
        return "all".to_owned();
    }
    parts.join(" ")
}

/// The keys of one zone, by their text.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    keys: HashMap<String, Track>,
    readings: u64,
}

#[derive(Clone, Debug, Default)]
struct Track {
    connections: VecDeque<u32>,
    rejected: u64,
    rejected_before: Option<u64>,
    last: u64,
}

impl Tracks {
    /// One more reading. A key that is not in it had too few connections to be seen.
    pub fn add(&mut self, keys: &[KeyStatus]) {
        self.readings += 1;
        let readings = self.readings;
        for key in keys {
            let track = self.keys.entry(text(&key.parts)).or_default();
            track.rejected_before = (track.last + 1 == readings).then_some(track.rejected);
            track.rejected = key.rejected;
            track.last = readings;
            track.push(key.connections);
        }
        for track in self.keys.values_mut().filter(|it| it.last < readings) {
            track.push(0);
        }
        self.keys
            .retain(|_, track| track.connections.iter().any(|it| *it > 0));
        if self.keys.len() > KEYS {
            self.keys.retain(|_, track| track.last == readings);
        }
    }

    /// Its last readings, the newest at the end.
    pub fn connections(&self, key: &str) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let track = self.keys.get(key);
        track
            .into_iter()
            .flat_map(|it| it.connections.iter().copied())
    }

    /// Refusals between the last two readings.
    pub fn refused(&self, key: &str) -> u64 {
        self.keys.get(key).map_or(0, |track| {
            let before = track.rejected_before.unwrap_or(track.rejected);
            track.rejected.saturating_sub(before)
        })
    }
}

impl Track {
    fn push(&mut self, connections: u32) {
        if self.connections.len() == LENGTH {
            self.connections.pop_front();
        }
        self.connections.push_back(connections);
    }
}
