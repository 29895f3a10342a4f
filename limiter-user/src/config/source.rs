//! The text that was typed, and places in it.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::error::{hides, shown};
use crate::policy::origin::Origin;

/// Bytes that are shown on either side of a place at the most, however long the line is.
const MAX_SHOWN_BYTES: usize = 1000;

/// One configuration file, or a text that stands for one.
#[derive(Debug)]
pub(crate) struct Source {
    /// As a person would name it in a message.
    name: String,
    path: PathBuf,
    directory: PathBuf,
    text: String,
    /// The same with other characters of the same lengths in place of those that would steer a
    /// terminal; none if there are none.
    harmless: Option<String>,
    /// Where each line feed is: a large configuration asks for many places.
    line_feeds: Vec<usize>,
}

impl Source {
    pub(crate) fn new(path: &Path, text: String) -> Arc<Self> {
        Arc::new(Self {
            name: shown(&path.to_string_lossy()).to_string(),
            path: path.to_owned(),
            directory: path.parent().unwrap_or(path).to_owned(),
            harmless: harmless(&text),
            line_feeds: text.match_indices('\n').map(|(at, _)| at).collect(),
            text,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// As it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that a relative `include` starts from; empty: the working directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Number of the line of the byte at `offset`, from 0.
    fn line(&self, offset: usize) -> usize {
        self.line_feeds.partition_point(|at| *at < offset)
    }

    /// Where the line of the byte at `offset` begins.
    fn line_start(&self, offset: usize) -> usize {
        match self.line(offset) {
            0 => 0,
            line => self.line_feeds[line - 1] + 1,
        }
    }

    /// Where the line of the byte at `offset` ends, its line feed included.
    fn line_end(&self, offset: usize) -> usize {
        let line_feed = self.line_feeds.get(self.line(offset));
        line_feed.map_or(self.text.len(), |at| at + 1)
    }

    /// The lines around a range, without what is far away on a long line.
    fn window(&self, range: Range<usize>, lines_before: usize, lines_after: usize) -> Range<usize> {
        let mut start = range.start;
        if lines_before > 0 {
            start = self.line_start(start);
            for _ in 0..lines_before {
                start = self.line_start(start.saturating_sub(1));
            }
        }
        // The line of the last byte; that of the place itself, if the range is empty.
        let last_byte = range.end.saturating_sub(1).max(range.start);
        let mut end = self.line_end(last_byte.min(self.text.len()));
        for _ in 0..lines_after {
            end = self.line_end(end);
        }
        let first = start.max(range.start.saturating_sub(MAX_SHOWN_BYTES));
        let last = end.min(range.end.saturating_add(MAX_SHOWN_BYTES));
        self.text.floor_char_boundary(first)..self.text.floor_char_boundary(last).max(range.end)
    }

    /// Line and column of a byte, both from 0, the column in characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let start = self.line_start(offset);
        // Byte offsets of the lexer are character boundaries; should one not be, count bytes.
        let column = self
            .text
            .get(start..offset)
            .map_or(offset - start, |before| before.chars().count());
        (self.line(offset), column)
    }
}

/// A text to show, if the text itself is not.
fn harmless(text: &str) -> Option<String> {
    let is_harmful = |c| c != '\n' && c != '\t' && hides(c);
    text.contains(is_harmful).then(|| {
        let replaced = text.chars().map(|c| match (is_harmful(c), c.len_utf8()) {
            (false, _) => c,
            (true, _) if c == '\r' => ' ',
            (true, 1) => '?',
            (true, 2) => '¿',
            (true, _) => char::REPLACEMENT_CHARACTER,
        });
        replaced.collect()
    })
}

/// miette counts columns in bytes and takes a lone carriage return for the end of a line; this
/// implementation keeps what it prints equal to the one-line form of the message.
impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (first, last) = (span.offset(), span.offset() + span.len());
        if last > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let window = self.window(first..last, lines_before, lines_after);
        let (line, column) = self.position(window.start);
        let lines = self.text.as_bytes()[window.clone()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            &self.harmless.as_ref().unwrap_or(&self.text).as_bytes()[window.clone()],
            (window.start, window.len()).into(),
            line,
            column,
            lines,
        )))
    }
}

/// A range of bytes of one source.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

impl Span {
    pub(super) fn new(source: &Arc<Source>, range: Range<usize>) -> Self {
        Self {
            source: Arc::clone(source),
            start: range.start,
            end: range.end,
        }
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The text it covers.
    pub(crate) fn text(&self) -> &str {
        self.source.text.get(self.range()).unwrap_or_default()
    }

    /// A part of it, in bytes from its start.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        Self {
            source: Arc::clone(&self.source),
            start: (self.start + range.start).min(self.end),
            end: (self.start + range.end).min(self.end),
        }
    }

    /// The place right behind it.
    pub(super) fn behind(&self) -> Self {
        Self {
            source: Arc::clone(&self.source),
            start: self.end,
            end: self.end,
        }
    }

    /// The file, and the line in it, from 1.
    pub(crate) fn line(&self) -> (&Path, usize) {
        (&self.source.path, self.source.line(self.start) + 1)
    }

    /// Where a value comes from that is written here.
    pub(super) fn origin(&self) -> Origin {
        let (file, line) = self.line();
        Origin::File {
            file: file.to_string_lossy().into_owned(),
            line,
            inherited: false,
        }
    }

    /// Whether both can be shown: they are in one source, and not far apart on one line.
    pub(super) fn can_be_shown_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
            && (self.start.abs_diff(other.start) < MAX_SHOWN_BYTES
                || self.source.line_start(self.start) != self.source.line_start(other.start))
    }
}

/// `FILE:LINE:COLUMN`, from 1, the column in characters.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.position(self.start);
        write!(f, "{}:{}:{}", self.source.name, line + 1, column + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters() {
        let source = Source::new(Path::new("t"), "a;\r\n# é\n  ü x".to_owned());
        let x = source.text().find('x').expect("x");
        assert_eq!(Span::new(&source, x..x + 1).to_string(), "t:3:5");
    }

    #[test]
    fn what_is_shown_has_the_lengths_of_the_text() {
        assert_eq!(harmless("plain\ttext ü\n"), None);
        let text = "\u{1b}[31m\r\u{9b}2J \u{202e}abc\n";
        let shown = harmless(text).expect("another text");
        assert_eq!(shown, "?[31m ¿2J \u{fffd}abc\n");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn every_span_of_a_text_can_be_read() {
        for text in ["", "\n", "a", "a\n", "\n\n", "a\r\nb\n\nc"] {
            let source = Source::new(Path::new("t"), text.to_owned());
            for start in 0..=text.len() {
                for end in start..=text.len() {
                    for context in 0..3 {
                        let span = SourceSpan::from((start, end - start));
                        let contents = source
                            .read_span(&span, context, context)
                            .expect("in bounds");
                        let window = contents.span();
                        assert!(window.offset() <= start, "{text:?} {start}..{end}");
                        assert!(
                            window.offset() + window.len() >= end,
                            "{text:?} {start}..{end}"
                        );
                    }
                }
            }
        }
    }
}
