//! What one record looks like: a line of text, a line of JSON, or a message to the journal.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{
    Event,
    field::{Field, Visit},
};

use crate::policy::LogLevel;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `2026-01-01T00:00:00.000Z [error] message`
    Text,
    /// An object: `time`, `level`, `message`, and the fields.
    Json,
    /// The journal's protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
    Journal,
}

/// The field with an object of further fields, as JSON: those of an event are known at run time only.
pub(super) const FIELDS: &str = "fields";

impl Form {
    /// An event of tracing.
    pub(super) fn event(self, level: LogLevel, event: &Event<'_>) -> Vec<u8> {
        if self == Self::Text {
            let mut text = Text::default();
            event.record(&mut text);
            return self.message(level, &text.0);
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.with_fields(Timestamp::now(), level, &fields)
    }

    /// A sentence.
    pub(super) fn message(self, level: LogLevel, message: &str) -> Vec<u8> {
        let now = Timestamp::now();
        if self == Self::Text {
            return line(now, level, message).into_bytes();
        }
        let fields = Fields {
            message: message.to_owned(),
            ..Fields::default()
        };
        self.with_fields(now, level, &fields)
    }

    fn with_fields(self, time: Timestamp, level: LogLevel, fields: &Fields) -> Vec<u8> {
        match self {
            Self::Text => line(time, level, &fields.message).into_bytes(),
            Self::Json => json(time, level, fields),
            Self::Journal => journal(level, fields),
        }
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

/// The time of what happened, if it is a field, is more exact than that of the record.
fn json(time: Timestamp, level: LogLevel, fields: &Fields) -> Vec<u8> {
    let mut rest = fields.rest.clone();
    let time = rest
        .remove("time")
        .unwrap_or_else(|| format!("{time:.3}").into());
    let mut bytes = Vec::new();
    let first = [
        ("time", time),
        ("level", level.as_str().into()),
        ("message", fields.message.as_str().into()),
    ];
    let first = first
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    for (name, value) in first.chain(rest) {
        bytes.push(if bytes.is_empty() { b'{' } else { b',' });
        // Strings and values always become JSON.
        bytes.extend(serde_json::to_vec(&name).unwrap_or_default());
        bytes.push(b':');
        bytes.extend(serde_json::to_vec(&value).unwrap_or_default());
    }
    bytes.extend(b"}\n");
    bytes
}

/// Journals have a time and the process already. Fields of ours begin with `LIMITER_`.
fn journal(level: LogLevel, fields: &Fields) -> Vec<u8> {
    // syslog(3)
    let priority = match level {
        LogLevel::Error => "3",
        LogLevel::Warn => "4",
        LogLevel::Notice => "5",
        LogLevel::Info => "6",
        LogLevel::Debug => "7",
    };
    let mut bytes = Vec::new();
    put(&mut bytes, "PRIORITY", priority);
    put(&mut bytes, "SYSLOG_IDENTIFIER", "limiter");
    put(&mut bytes, "MESSAGE", &fields.message);
    for (name, value) in &fields.rest {
        let name = format!("LIMITER_{}", name.to_uppercase());
        match value {
            Value::String(text) => put(&mut bytes, &name, text),
            value => put(&mut bytes, &name, &value.to_string()),
        }
    }
    bytes
}

/// With its length in front, a value may hold anything.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend(name.as_bytes());
    bytes.push(b'\n');
    bytes.extend((value.len() as u64).to_le_bytes());
    bytes.extend(value.as_bytes());
    bytes.push(b'\n');
}

/// The message, then the other fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            // The message says the same.
            FIELDS => Ok(()),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// The message and the other fields, apart.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.rest.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            FIELDS => {
                if let Ok(Value::Object(fields)) = serde_json::from_str(&text) {
                    self.rest.extend(fields);
                }
            }
            _ => self.add(field, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(rest: Value) -> Fields {
        let Value::Object(rest) = rest else {
            panic!("{rest}");
        };
        Fields {
            message: "a \"message\"\nin two lines".to_owned(),
            rest,
        }
    }

    fn time() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("a time")
    }

    #[test]
    fn a_line_starts_with_the_time_to_the_millisecond() {
        assert_eq!(
            line(time(), LogLevel::Error, "message"),
            "2026-01-01T00:00:00.000Z [error] message\n"
        );
    }

    #[test]
    fn json_is_one_line_with_the_fields_behind_the_message() {
        let some = fields(serde_json::json!({ "zone": "addr", "limit": 10 }));
        let bytes = Form::Json.with_fields(time(), LogLevel::Notice, &some);
        assert_eq!(
            String::from_utf8(bytes).expect("UTF-8"),
            "{\"time\":\"2026-01-01T00:00:00.000Z\",\"level\":\"notice\",\
             \"message\":\"a \\\"message\\\"\\nin two lines\",\"limit\":10,\"zone\":\"addr\"}\n"
        );
        // What happened has a time of its own.
        let event = fields(serde_json::json!({ "time": "2025-12-31T23:59:59.999999Z" }));
        let bytes = Form::Json.with_fields(time(), LogLevel::Error, &event);
        let value: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(value["time"], "2025-12-31T23:59:59.999999Z");
    }

    #[test]
    fn the_journal_gets_values_with_their_lengths() {
        let some = fields(serde_json::json!({ "zone": "addr\nPRIORITY=0", "limit": 10 }));
        let bytes = Form::Journal.with_fields(time(), LogLevel::Warn, &some);
        let mut rest = &bytes[..];
        let mut read = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').expect("a name");
            let (name, value) = (&rest[..end], &rest[end + 1..]);
            let (length, value) = value.split_first_chunk().expect("a length");
            let (value, after) = value.split_at(u64::from_le_bytes(*length) as usize);
            read.push((
                String::from_utf8_lossy(name).into_owned(),
                String::from_utf8_lossy(value).into_owned(),
            ));
            assert_eq!(after[0], b'\n');
            rest = &after[1..];
        }
        let expected = [
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "limiter"),
            ("MESSAGE", "a \"message\"\nin two lines"),
            ("LIMITER_LIMIT", "10"),
            ("LIMITER_ZONE", "addr\nPRIORITY=0"),
        ];
        assert_eq!(read, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
