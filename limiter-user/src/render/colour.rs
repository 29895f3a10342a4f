//! Colours of a terminal: SGR parameters of ECMA-48, the sixteen that every terminal has.

use crate::api::{EventState, doctor::Level};

/// Whether to write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Yes.
    On,
    /// No.
    Off,
}

impl Colour {
    /// The text in the colour of a status: red what is refused, yellow what would have been.
    pub fn of_status(self, status: EventState, text: &str) -> String {
        let code = match status {
            EventState::Passed => "32",
            EventState::Rejected => "1;31",
            EventState::RejectedDryRun => "33",
            EventState::Closed => "2",
        };
        self.paint(code, text)
    }

    /// The text in the colour of how bad something is.
    pub fn of_level(self, level: Level, text: &str) -> String {
        let code = match level {
            Level::Healthy => "32",
            Level::Warning => "33",
            Level::Critical => "1;31",
        };
        self.paint(code, text)
    }

    /// The text in front of others.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// The text behind others.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}
