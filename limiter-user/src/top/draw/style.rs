//! Colours, and what stands for them where there are none.

use ratatui::style::{Color, Modifier, Style};

use crate::api::EventState;

/// The sixteen colours that every terminal has, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// Colours.
    Colours,
    /// Bold, dim and reversed only.
    Plain,
}

impl Palette {
    pub(super) fn title(self) -> Style {
        self.on(Color::Blue)
            .add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    pub(super) fn dry_run(self) -> Style {
        self.on(Color::Yellow)
            .add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    pub(super) fn alarm(self) -> Style {
        self.on(Color::Red).add_modifier(Modifier::REVERSED)
    }

    pub(super) fn warning(self) -> Style {
        self.on(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A share of what there is, from 0 to 1.
    pub(super) fn share(self, share: f64) -> Style {
        self.on(match share {
            it if it >= 0.9 => Color::Red,
            it if it >= 0.7 => Color::Yellow,
            _ => Color::Green,
        })
    }

    pub(super) fn status(self, status: EventState) -> Style {
        match status {
            EventState::Passed => self.on(Color::Green),
            EventState::Rejected => self.on(Color::Red).add_modifier(Modifier::BOLD),
            EventState::RejectedDryRun => self.on(Color::Yellow),
            EventState::Closed => self.faint(),
        }
    }

    fn on(self, colour: Color) -> Style {
        match self {
            Self::Colours => Style::new().fg(colour),
            Self::Plain => Style::new(),
        }
    }
}
