//! What a key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Mode, Model, Question, Sort};
use crate::api::SetDryRun;

/// What has to be done about it outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// To end.
    Quit,
    /// Everything is drawn anew.
    Redraw,
    /// To read at once: another zone is selected.
    Read,
    /// To switch dry run.
    Switch(SetDryRun),
}

/// Longest text of the filter.
const FILTER: usize = 60;

impl Model {
    /// A key was pressed.
    pub fn press(&mut self, key: KeyEvent) -> Wish {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Wish::Quit,
            KeyCode::Char('l') if is_control => return Wish::Redraw,
            _ => {}
        }
        self.note.clear();
        match self.mode.clone() {
            Mode::Commands => self.command(key.code),
            Mode::Filter => self.filter(key.code),
            Mode::Help => {
                self.mode = Mode::Commands;
                Wish::None
            }
            Mode::Question(question) => self.decide(question, key.code),
        }
    }

    fn command(&mut self, key: KeyCode) -> Wish {
        match key {
            KeyCode::Char('q') => return Wish::Quit,
            // Esc takes back what hides something, and then ends.
            KeyCode::Esc if self.filter.is_empty() => return Wish::Quit,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('p' | ' ') => {
                self.is_paused = !self.is_paused;
                self.unseen = 0;
            }
            KeyCode::Char('d') => self.ask(None),
            KeyCode::Up | KeyCode::Char('k') => return self.moved(-1),
            KeyCode::Down | KeyCode::Char('j') => return self.moved(1),
            _ => {}
        }
        Wish::None
    }

    fn moved(&mut self, by: isize) -> Wish {
        let before = self.selected.clone();
        self.move_selection(by);
        if self.selected == before {
            Wish::None
        } else {
            Wish::Read
        }
    }

    fn filter(&mut self, key: KeyCode) -> Wish {
        match key {
            KeyCode::Enter => self.mode = Mode::Commands,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Commands;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if self.filter.len() < FILTER => self.filter.push(c),
            _ => {}
        }
        Wish::None
    }

    fn ask(&mut self, server: Option<usize>) {
        // With one server, all of them is that one.
        let server = if self.servers().len() == 1 {
            Some(0)
        } else {
            server
        };
        self.mode = Mode::Question(Question { server });
    }

    fn decide(&mut self, question: Question, key: KeyCode) -> Wish {
        match key {
            KeyCode::Char('y' | 'Y') => {
                self.mode = Mode::Commands;
                self.answer(&question).map_or(Wish::None, Wish::Switch)
            }
            KeyCode::Tab | KeyCode::Right | KeyCode::Down => {
                let next = question.server.map_or(0, |position| position + 1);
                self.ask((next < self.servers().len()).then_some(next));
                Wish::None
            }
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc | KeyCode::Enter => {
                self.mode = Mode::Commands;
                Wish::None
            }
            _ => Wish::None,
        }
    }
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Connections => Self::Rejected,
            Self::Rejected => Self::Rate,
            Self::Rate => Self::Key,
            Self::Key => Self::Connections,
        }
    }

    /// For the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Rejected => "rejected",
            Self::Rate => "rejected/s",
            Self::Key => "key",
        }
    }
}
