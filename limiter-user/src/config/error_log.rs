//! `error_log stderr|journal|PATH [LEVEL] [format=text|json]`.

use super::{
    build::{absolute_path, invalid_parameter, misread},
    error::ConfigError,
    expand::Item,
    word,
};
use crate::policy::{ErrorLog, LogFormat, LogTarget};

/// Without LEVEL, the level is that of a configuration without `error_log`.
pub(super) fn error_log(item: &Item) -> Result<ErrorLog, ConfigError> {
    let mut log = ErrorLog::default();
    let target = item.argument(0);
    log.target = match target.value.as_str() {
        "stderr" => LogTarget::Stderr,
        "journal" => LogTarget::Journal,
        _ => LogTarget::File(absolute_path(item, target)?),
    };
    let mut rest = item.arguments.get(1..).unwrap_or_default();
    if let Some((level, others)) = rest.split_first()
        && !level.value.contains('=')
    {
        log.level = word::log_level(&level.value).map_err(|error| misread(level, error))?;
        rest = others;
    }
    for (index, parameter) in rest.iter().enumerate() {
        let Some(format) = parameter.value.strip_prefix("format=") else {
            return Err(invalid_parameter(parameter));
        };
        if index > 0 {
            let error = ConfigError::at(&parameter.span, "duplicate parameter \"format\"");
            return Err(error.expected("given for the second time"));
        }
        if log.target == LogTarget::Journal {
            let message = "error_log journal takes no \"format\"";
            return Err(ConfigError::at(&parameter.span, message)
                .expected("not expected here")
                .help("what goes to the journal always has fields"));
        }
        let choices = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let start = "format=".len();
        log.format = word::one_of(format, &choices)
            .map_err(|error| misread(parameter, error.at(start..parameter.value.len())))?;
    }
    Ok(log)
}
