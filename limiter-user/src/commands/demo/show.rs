//! The demo on standard output: headings, facts, and attempts to connect as they end.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal},
    net::Ipv4Addr,
};

use jiff::tz::TimeZone;

use super::wire::Outcome;
use crate::{
    api::Event,
    commands::{failure::Failure, output},
    render::{self, colour::Colour},
};

/// Width of the column that says who speaks.
const WHO: usize = 9;

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";

/// Writes the show.
pub(super) struct Show {
    styled: bool,
    zone: TimeZone,
    run: Option<Run>,
}

/// Attempts with the same outcome, one after the other: a line that still grows.
struct Run {
    from: Ipv4Addr,
    outcome: Outcome,
    length: u32,
}

impl Show {
    /// Colours are for terminals, and for those who want them (no-color.org).
    pub(super) fn new() -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            styled: wanted && io::stdout().is_terminal(),
            zone: TimeZone::system(),
            run: None,
        }
    }

    /// Text that carries its own newlines, on a line of its own.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.end_run()?;
        output::text(text)
    }

    pub(super) fn heading(&mut self, text: &str) -> Result<(), Failure> {
        let heading = self.style(BOLD, text);
        self.text(&format!("\n{heading}\n"))
    }

    /// One line: who, and what.
    pub(super) fn fact(&mut self, who: &str, what: impl Display) -> Result<(), Failure> {
        self.text(&format!("   {who:<WHO$}  {what}\n"))
    }

    /// Several lines, a blank one before and after them.
    pub(super) fn block(&mut self, text: &str) -> Result<(), Failure> {
        let mut block = String::from("\n");
        for line in text.lines() {
            let indent = if line.is_empty() { "" } else { "   " };
            block.extend([indent, line, "\n"]);
        }
        block.push('\n');
        self.text(&block)
    }

    pub(super) fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let line = render::event::event(event, &self.zone, Colour::Off);
        self.fact("event", line.trim_end())
    }

    /// A dot per attempt, on one line as long as nothing else happens.
    pub(super) fn attempt(&mut self, from: Ipv4Addr, outcome: Outcome) -> Result<(), Failure> {
        if let Some(run) = &mut self.run
            && (run.from, run.outcome) == (from, outcome)
        {
            run.length += 1;
        } else {
            self.end_run()?;
            output::text(&format!("   {:<WHO$}  ", from.to_string()))?;
            self.run = Some(Run {
                from,
                outcome,
                length: 1,
            });
        }
        let dot = match outcome {
            Outcome::Established => self.style(GREEN, "●"),
            Outcome::NoAnswer | Outcome::Reset => self.style(RED, "○"),
        };
        output::text(&format!("{dot} "))
    }

    fn end_run(&mut self) -> Result<(), Failure> {
        let Some(run) = self.run.take() else {
            return Ok(());
        };
        output::text(&format!(" {} {}\n", run.length, words(run.outcome)))
    }

    fn style(&self, style: &str, text: &str) -> String {
        if self.styled {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        // Whatever is said next starts on a line of its own.
        if self.run.is_some() {
            let _ = output::text("\n");
        }
    }
}

/// After a number of attempts.
fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Established => "established",
        Outcome::NoAnswer => "without an answer",
        Outcome::Reset => "reset",
    }
}
