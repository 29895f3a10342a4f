//! What is wrong, where, and what was expected instead.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, Severity, SourceCode,
};

use super::source::Span;

/// Why a configuration was not taken. `Display` gives one line, `FILE:LINE:COLUMN: message`;
/// [`render`] shows the line itself.
#[derive(Debug)]
pub struct ConfigError(Box<Problem>);

/// Something in a configuration that works, but hardly as intended. `Display` gives one line, as
/// for [`ConfigError`].
#[derive(Debug)]
pub struct Warning(Box<Problem>);

/// The message with the line it is about, a caret, what was expected and a hint.
pub fn render(error: &ConfigError, colour: bool) -> String {
    error.0.render(colour)
}

/// As [`render`], for a warning.
pub fn render_warning(warning: &Warning, colour: bool) -> String {
    warning.0.render(colour)
}

impl ConfigError {
    /// An error at a place in a file.
    pub(crate) fn at(place: &Span, message: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            place: Some(place.clone()),
            ..Problem::new(Severity::Error, message)
        }))
    }

    /// An error about something that is in no file.
    pub(crate) fn placeless(message: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(Severity::Error, message)))
    }

    /// What was expected at the place.
    pub(super) fn expected(mut self, label: impl Into<String>) -> Self {
        self.0.label = Some(label.into());
        self
    }

    /// How to go on.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Another place that belongs to the story; shown if it is in the same file.
    pub(super) fn related(mut self, place: &Span, label: impl Into<String>) -> Self {
        self.0.related = Some((place.clone(), label.into()));
        self
    }
}

impl Warning {
    pub(super) fn at(place: &Span, message: impl Into<String>) -> Self {
        Self::placeless(message).with_place(place)
    }

    pub(super) fn placeless(message: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(Severity::Warning, message)))
    }

    /// A warning that may well be unfounded.
    pub(super) fn advice(message: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(Severity::Advice, message)))
    }

    pub(super) fn advice_at(place: &Span, message: impl Into<String>) -> Self {
        Self::advice(message).with_place(place)
    }

    /// Whether it is for somebody who asks (`limiter check`), not for every start.
    pub fn is_advice(&self) -> bool {
        self.0.severity == Severity::Advice
    }

    fn with_place(mut self, place: &Span) -> Self {
        self.0.place = Some(place.clone());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.one_line(f)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.one_line(f)
    }
}

/// What errors and warnings have in common. Its own `Display` leaves out the place, which
/// miette's renderer prints in the frame.
#[derive(Debug)]
struct Problem {
    severity: Severity,
    message: String,
    place: Option<Span>,
    label: Option<String>,
    related: Option<(Span, String)>,
    help: Option<String>,
}

impl Problem {
    fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            place: None,
            label: None,
            related: None,
            help: None,
        }
    }

    fn one_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }

    fn render(&self, colour: bool) -> String {
        let theme = if colour {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(100);
        let mut text = String::new();
        // The only failure is a span outside of its source; the one-line form still helps then.
        if handler.render_report(&mut text, self).is_err() {
            return format!("{}\n", fmt::from_fn(|f| self.one_line(f)));
        }
        text
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place
            .as_ref()
            .map(|place| &**place.source() as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let here = LabeledSpan::new_primary_with_span(self.label.clone(), place.range());
        let there = self
            .related
            .as_ref()
            .filter(|(span, _)| span.can_be_shown_with(place))
            .map(|(span, label)| LabeledSpan::new_with_span(Some(label.clone()), span.range()));
        Some(Box::new(std::iter::once(here).chain(there)))
    }
}

/// Text of the user inside a message: on one line, and of bounded length.
pub(crate) fn shown(text: &str) -> impl fmt::Display + '_ {
    const LONGEST: usize = 80;
    fmt::from_fn(move |f| {
        for (index, character) in text.chars().enumerate() {
            if index == LONGEST {
                return f.write_str("…");
            }
            if hides(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    })
}

/// Whether a terminal would obey the character instead of showing it: control characters, and those
/// that turn the direction of text (Unicode Standard Annex 9, §2).
pub(crate) fn hides(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
