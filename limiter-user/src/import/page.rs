//! The result, line by line.

use super::note::Note;
use crate::{config::grammar::hides, render::notes::Lines};

/// Characters of a line of prose at the most.
const WIDTH: usize = 100;
/// Bytes of all notes at the most: the result has to be one that limiter reads.
const MAX_NOTE_BYTES: usize = 400 << 10;

/// A configuration being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    lines: Vec<(String, Option<String>)>,
    note_bytes: usize,
    /// Notes so far.
    pub(super) notes: usize,
    /// Notes for which there was no room.
    pub(super) left_out: usize,
}

impl Page {
    /// A directive, and where it comes from.
    pub(super) fn line(&mut self, text: impl Into<String>, place: Option<String>) {
        self.lines.push((text.into(), place));
    }

    /// An empty line, unless there is one.
    pub(super) fn blank(&mut self) {
        if self.lines.last().is_some_and(|(text, _)| !text.is_empty()) {
            self.line("", None);
        }
    }

    /// Prose.
    pub(super) fn prose(&mut self, indent: &str, text: &str) {
        let mut line = String::new();
        for word in one_line(text).split(' ').filter(|word| !word.is_empty()) {
            let used = indent.len() + 2 + line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && used > WIDTH {
                self.comment(indent, &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.comment(indent, &line);
    }

    /// A remark with the lines to write instead.
    pub(super) fn note(&mut self, indent: &str, note: &Note) {
        let instead: usize = note.instead.iter().map(String::len).sum();
        self.note_bytes += note.text.len() + instead;
        if self.note_bytes > MAX_NOTE_BYTES {
            self.left_out += 1;
            return;
        }
        self.notes += 1;
        self.prose(indent, &note.text);
        for line in &note.instead {
            self.comment(indent, &one_line(line));
        }
    }

    /// Where the next line will stand.
    pub(super) fn position(&self) -> usize {
        self.lines.len()
    }

    /// Makes comments of the lines from a position on.
    pub(super) fn comment_out(&mut self, from: usize) {
        for (text, _) in self.lines.iter_mut().skip(from) {
            *text = format!("# {text}").trim_end().to_owned();
        }
    }

    pub(super) fn render(mut self) -> String {
        while self.lines.pop_if(|(text, _)| text.is_empty()).is_some() {}
        let mut lines = Lines::default();
        for (text, place) in self.lines {
            lines.add(text, place);
        }
        lines.render()
    }

    fn comment(&mut self, indent: &str, text: &str) {
        self.line(format!("{indent}# {text}").trim_end(), None);
    }
}

/// Without anything that would end a comment, or that a terminal would obey.
fn one_line(text: &str) -> String {
    text.replace(hides, " ")
}
