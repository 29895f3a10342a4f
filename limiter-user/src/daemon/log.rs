//! The `error_log`. Its level decides what is shown; lines look like
//! `2026-01-01T00:00:00.000Z [error] message`, or have fields.

use std::{fmt, time::Duration};

use tokio::{signal::unix::Signal, time::sleep};
use tracing::{
    Event, Level, Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest,
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry};

pub use self::sink::{LogError, LogGuard, Reopener};
use self::{form::Form, sink::Sink, target::Target};
use crate::{
    api,
    policy::{ErrorLog, LogLevel},
};

mod bridge;
mod form;
mod sink;
mod target;

/// tracing has no level between info and warn: a notice is an info event with this target.
pub const NOTICE: &str = "notice";

/// Pause while the queue of the log is full.
const RETRY: Duration = Duration::from_millis(10);

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
    form: Form,
    threshold: LogLevel,
}

impl Log {
    /// Opens the target.
    pub fn open(error_log: &ErrorLog) -> Result<Self, LogError> {
        let (target, form) = target::open(error_log)?;
        Ok(Self {
            target,
            form,
            threshold: error_log.level,
        })
    }

    /// Starts logging for the whole process. What is logged is written out when the guard is
    /// dropped.
    pub fn install(self) -> Result<LogGuard, LogError> {
        let (sink, guard) = sink::start(self.target, self.form)?;
        let layer = Lines {
            threshold: self.threshold,
            form: self.form,
            sink: sink.clone(),
        };
        tracing::subscriber::set_global_default(registry().with(layer))
            .map_err(|error| LogError::new("install", "error_log", error))?;
        if self.threshold == LogLevel::Debug {
            bridge::install(sink, self.form)?;
        }
        Ok(guard)
    }
}

/// Has the file opened anew whenever the signal comes, as logrotate(8) wants it.
pub async fn reopen_on(mut signal: Signal, log: Reopener) {
    while signal.recv().await.is_some() {
        while !log.reopen() {
            sleep(RETRY).await;
        }
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

/// Logs `text` about an event of the API, whose fields go along where there are fields.
pub fn write_event(level: LogLevel, text: &str, event: &api::Event) {
    // Only a form with fields asks for it. The name is that of `form::FIELDS`.
    let fields = tracing::field::display(Json(event));
    match level {
        LogLevel::Debug => tracing::debug!(fields, "{text}"),
        LogLevel::Info => tracing::info!(fields, "{text}"),
        LogLevel::Notice => tracing::info!(target: NOTICE, fields, "{text}"),
        LogLevel::Warn => tracing::warn!(fields, "{text}"),
        LogLevel::Error => tracing::error!(fields, "{text}"),
    }
}

struct Json<'a>(&'a api::Event);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self.0).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

/// From tracing's events to records.
struct Lines {
    threshold: LogLevel,
    form: Form,
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
        let level = level(event.metadata());
        self.sink.send(self.form.event(level, event));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(threshold: LogLevel, form: Form, log: impl FnOnce()) -> Vec<String> {
        let (sink, lines) = sink::tests::capture();
        let layer = Lines {
            threshold,
            form,
            sink,
        };
        tracing::subscriber::with_default(registry().with(layer), log);
        lines.lines()
    }

    fn lines_at(threshold: LogLevel) -> Vec<String> {
        let lines = capture(threshold, Form::Text, || {
            tracing::debug!("a debug line");
            tracing::info!(port = 443, "an info line");
            notice!("a notice");
            tracing::warn!("a warning");
            write(LogLevel::Error, "an error\nwith a forged line");
        });
        let lines = lines.into_iter();
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
    fn an_event_has_its_fields_where_there_are_fields() {
        let event = api::Event::example();
        let log = || write_event(LogLevel::Notice, "limiting", &event);
        let text = capture(LogLevel::Info, Form::Text, log);
        assert!(text[0].ends_with(" [notice] limiting\n"), "{text:?}");

        let json = capture(LogLevel::Info, Form::Json, log);
        let line: serde_json::Value = serde_json::from_str(&json[0]).expect("JSON");
        let mut expected = serde_json::to_value(&event).expect("JSON");
        expected["level"] = "notice".into();
        expected["message"] = "limiting".into();
        assert_eq!(line, expected);
    }

    #[test]
    fn fields_of_other_lines_keep_their_kind() {
        let json = capture(LogLevel::Info, Form::Json, || {
            tracing::info!(port = 443, name = "eth0", on = true, "an info line");
        });
        let line: serde_json::Value = serde_json::from_str(&json[0]).expect("JSON");
        assert_eq!(line["port"], 443);
        assert_eq!((&line["name"], &line["on"]), (&"eth0".into(), &true.into()));
        assert_eq!(line["message"], "an info line");
    }
}
