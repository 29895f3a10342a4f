//! What stands in the result as a comment.

use std::path::{Path, PathBuf};

use crate::config::grammar::{Directive, Span, shown};

/// A remark, and what one may write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// One or more sentences, on one line.
    pub(super) text: String,
    /// Lines of a configuration.
    pub(super) instead: Vec<String>,
}

impl Note {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            instead: Vec::new(),
        }
    }

    /// Adds a line of a configuration.
    pub(super) fn instead(mut self, line: impl Into<String>) -> Self {
        self.instead.push(line.into());
        self
    }
}

/// Names places as a person would who stands in the directory of the first file.
#[derive(Debug)]
pub(super) struct Places {
    directory: PathBuf,
}

impl Places {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// `FILE:LINE`
    pub(super) fn of(&self, place: &Span) -> String {
        let (file, line) = place.line();
        let file = file.strip_prefix(&self.directory).unwrap_or(file);
        format!("{}:{line}", shown(&file.to_string_lossy()))
    }

    /// `FILE:LINE: "DIRECTIVE WORDS"`
    pub(super) fn quote(&self, directive: &Directive) -> String {
        format!(
            "{}: \"{}\"",
            self.of(&directive.name.span),
            typed(directive)
        )
    }
}

/// A directive without its block, shortened.
pub(super) fn typed(directive: &Directive) -> String {
    let words = std::iter::once(&directive.name).chain(&directive.arguments);
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word.span.text());
        if text.len() > 200 {
            break;
        }
    }
    shown(&text).to_string()
}
