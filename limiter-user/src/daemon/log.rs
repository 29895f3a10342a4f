//! The `error_log`. Its level decides what is shown; lines look like
//! `2026-01-01T00:00:00.000Z [error] message`.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry};

pub use self::sink::{LogError, LogGuard};
use self::sink::{Sink, Target};
use crate::policy::{ErrorLog, LogLevel};

mod bridge;
mod sink;

/// tracing has no level between info and warn: a notice is an info event with this target.
pub const NOTICE: &str = "notice";

/// Logs at level `notice`.
macro_rules! notice {
    ($($argument:tt)*) => {
        tracing::info!(target: $crate::daemon::log::NOTICE, $($argument)*)
    };
}
pub(crate) use notice;

/// An open log that nothing is written to yet. Opening it may take privileges that writing does not.
pub struct Log {
    target: Target,
    threshold: LogLevel,
}

impl Log {
    /// Opens the target.
    pub fn open(error_log: &ErrorLog) -> Result<Self, LogError> {
        Ok(Self {
            target: sink::open(&error_log.target)?,
            threshold: error_log.level,
        })
    }

    /// Starts logging for the whole process. What is logged is written out when the guard is
    /// dropped.
    pub fn install(self) -> Result<LogGuard, LogError> {
        let (sink, guard) = sink::start(self.target)?;
        let layer = Lines {
            threshold: self.threshold,
            sink: sink.clone(),
        };
        tracing::subscriber::set_global_default(registry().with(layer))
            .map_err(|error| LogError::new("install", "error_log", error))?;
        if self.threshold == LogLevel::Debug {
            bridge::install(sink)?;
        }
        Ok(guard)
    }
}

/// Logs `text` at a level that is known at run time only.
pub fn write(level: LogLevel, text: &str) {
    match level {
        LogLevel::Debug => tracing::debug!("{text}"),
        LogLevel::Info => tracing::info!("{text}"),
        LogLevel::Notice => notice!("{text}"),
        LogLevel::Warn => tracing::warn!("{text}"),
        LogLevel::Error => tracing::error!("{text}"),
    }
}

/// From tracing's events to lines.
struct Lines {
    threshold: LogLevel,
    sink: Sink,
}

impl Lines {
    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && level(metadata) >= self.threshold
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.shows(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.threshold {
            LogLevel::Debug => LevelFilter::TRACE,
            LogLevel::Info | LogLevel::Notice => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let line = line(Timestamp::now(), level(event.metadata()), &text.0);
        self.sink.send(line);
    }
}

fn level(metadata: &Metadata<'_>) -> LogLevel {
    match *metadata.level() {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO if metadata.target() == NOTICE => LogLevel::Notice,
        Level::INFO => LogLevel::Info,
        Level::DEBUG | Level::TRACE => LogLevel::Debug,
    }
}

/// One line with its newline. Control characters are escaped: what a peer sent must not forge
/// lines.
fn line(time: Timestamp, level: LogLevel, text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 40);
    // Writing to a String does not fail.
    let _ = write!(line, "{time:.3} [{level}] ");
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

/// The message, then the other fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_at(threshold: LogLevel) -> Vec<String> {
        let (sink, lines) = sink::tests::capture();
        let subscriber = registry().with(Lines { threshold, sink });
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("a debug line");
            tracing::info!(port = 443, "an info line");
            notice!("a notice");
            tracing::warn!("a warning");
            write(LogLevel::Error, "an error\nwith a forged line");
        });
        let lines = lines.lines().into_iter();
        lines
            .map(|line| line.split_once(' ').expect("a time").1.to_owned())
            .collect()
    }

    #[test]
    fn the_level_decides_what_is_shown() {
        let all = [
            "[debug] a debug line\n",
            "[info] an info line port=443\n",
            "[notice] a notice\n",
            "[warn] a warning\n",
            "[error] an error\\nwith a forged line\n",
        ];
        for (threshold, first) in [
            (LogLevel::Debug, 0),
            (LogLevel::Info, 1),
            (LogLevel::Notice, 2),
            (LogLevel::Warn, 3),
            (LogLevel::Error, 4),
        ] {
            assert_eq!(lines_at(threshold), all[first..], "{threshold}");
        }
    }

    #[test]
    fn a_line_starts_with_the_time_to_the_millisecond() {
        let time = "2026-01-01T00:00:00Z".parse().expect("a time");
        assert_eq!(
            line(time, LogLevel::Error, "message"),
            "2026-01-01T00:00:00.000Z [error] message\n"
        );
    }
}
