//! Debug output of the programs in the kernel (aya-log) and of aya comes through the `log` crate.

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::{
    form::Form,
    sink::{LogError, Sink},
};
use crate::policy::LogLevel;

/// Everything that comes this way is debug output, whatever it says of itself.
struct Bridge(Sink, Form);

/// Only called if debug output is wanted: without it, the `log` crate stays off and costs nothing.
pub(super) fn install(sink: Sink, form: Form) -> Result<(), LogError> {
    log::set_boxed_logger(Box::new(Bridge(sink, form)))
        .map_err(|error| LogError::new("install", "the bridge for debug output", error))?;
    log::set_max_level(LevelFilter::Trace);
    Ok(())
}

impl Log for Bridge {
    /// aya reports every relocation when it loads: hundreds of lines that would bury the
    /// programs' own.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let loader = ["aya::", "aya_obj::"];
        metadata.level() <= Level::Warn
            || !loader
                .iter()
                .any(|path| metadata.target().starts_with(path))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = format!("{}: {}", record.target(), record.args());
        self.0.send(self.1.message(LogLevel::Debug, &text));
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::{super::sink, *};

    #[test]
    fn output_of_the_programs_is_shown_as_debug() {
        let (sink, captured) = sink::tests::capture();
        let bridge = Bridge(sink, Form::Text);
        for (target, level, text) in [
            ("limiter_ebpf::count", Level::Info, "established"),
            ("aya_obj::relocation", Level::Debug, "relocating"),
            ("aya::bpf", Level::Warn, "map is gone"),
        ] {
            let arguments = format_args!("{text}");
            let record = Record::builder()
                .target(target)
                .level(level)
                .args(arguments)
                .build();
            bridge.log(&record);
        }
        let lines = captured.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].ends_with("[debug] limiter_ebpf::count: established\n"));
        assert!(lines[1].ends_with("[debug] aya::bpf: map is gone\n"));
    }
}
