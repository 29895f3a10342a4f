//! Debug output of the programs in the kernel (aya-log) and of aya comes through the `log` crate.

use jiff::Timestamp;
use log::{LevelFilter, Log, Metadata, Record};

use super::sink::{LogError, Sink};
use crate::policy::LogLevel;

/// Everything that comes this way is debug output, whatever it says of itself.
struct Bridge(Sink);

/// Only called if debug output is wanted: without it, the `log` crate stays off and costs nothing.
pub(super) fn install(sink: Sink) -> Result<(), LogError> {
    log::set_boxed_logger(Box::new(Bridge(sink)))
        .map_err(|error| LogError::new("install", "the bridge for debug output", error))?;
    log::set_max_level(LevelFilter::Trace);
    Ok(())
}

impl Log for Bridge {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text = format!("{}: {}", record.target(), record.args());
        self.0
            .send(super::line(Timestamp::now(), LogLevel::Debug, &text));
    }

    fn flush(&self) {}
}
