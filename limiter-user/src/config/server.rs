//! `server { … }`

use std::collections::HashMap;

use super::{
    build::misread,
    directives::Kind,
    error::{ConfigError, shown},
    expand::Item,
    level::Level,
    listen,
    once::Once,
    source::Span,
    syntax::Word,
    zone::is_name,
};
use crate::policy::{Listen, origin::Origin};

/// Name of the server that covers every port, unless it has one of its own.
pub(super) const DEFAULT_NAME: &str = "default";

/// A `server` as read, before it inherits. The empty draft is the server of a configuration
/// without any.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Of the word `server`.
    pub(super) place: Option<Span>,
    pub(super) listens: Vec<(Listen, Span)>,
    name: Once<Word>,
    pub(super) level: Level,
}

impl Draft {
    pub(super) fn read(item: &Item) -> Result<Self, ConfigError> {
        let mut draft = Self {
            place: Some(item.word.span.clone()),
            ..Self::default()
        };
        for item in &item.items {
            draft.take(item)?;
        }
        Ok(draft)
    }

    fn take(&mut self, item: &Item) -> Result<(), ConfigError> {
        match (item.kind, item.arguments.as_slice()) {
            (Kind::Listen, [word]) => {
                let listen = listen::parse(&word.value).map_err(|mut error| {
                    error.message += " of the \"listen\" directive";
                    misread(word, error)
                })?;
                self.listens.push((listen, word.span.clone()));
                Ok(())
            }
            (Kind::ServerName, [word]) => {
                if !is_name(&word.value) {
                    let message = format!("invalid server name \"{}\"", shown(&word.value));
                    return Err(ConfigError::at(&word.span, message).expected(
                        "expected a name of 1 to 255 bytes, without control characters",
                    ));
                }
                self.name.set(item, word.clone())
            }
            _ => self.level.take(item),
        }
    }

    /// The name to use in messages about the configuration.
    pub(super) fn shown_name(&self) -> String {
        match (self.name.value(), self.listens.first()) {
            (Some(name), _) => format!("server \"{}\"", shown(&name.value)),
            (None, Some((listen, _))) => format!("the server of port {listen}"),
            (None, None) => "the server without \"listen\"".to_owned(),
        }
    }
}

/// A name for each server, and where it is written. Without `server_name` it is the first `listen`, as in log lines of
/// nginx, or `default` for the server that covers every port; if another server is called that,
/// `server` with the position in the file, from 1.
pub(super) fn names(drafts: &[Draft]) -> Result<Vec<(String, Origin)>, ConfigError> {
    let mut taken: HashMap<&str, &Span> = HashMap::new();
    for draft in drafts {
        let Some(word) = draft.name.value() else {
            continue;
        };
        if let Some(first) = taken.insert(&word.value, &word.span) {
            let name = shown(&word.value);
            let message = format!("server name \"{name}\" is already used at {first}");
            return Err(ConfigError::at(&word.span, message)
                .expected("expected a name of its own")
                .related(first, "used here before"));
        }
    }
    let mut made_up: Vec<String> = Vec::new();
    let names = drafts.iter().enumerate().map(|(index, draft)| {
        if let Some(name) = draft.name.value() {
            return (name.value.clone(), name.span.origin());
        }
        let first = match draft.listens.first() {
            Some((listen, _)) => listen.to_string(),
            None => DEFAULT_NAME.to_owned(),
        };
        let position = index + 1;
        let more = (1..).map(|attempt| match attempt {
            1 => format!("server{position}"),
            _ => format!("server{position}-{attempt}"),
        });
        let name = std::iter::once(first)
            .chain(more)
            .find(|name| !taken.contains_key(name.as_str()) && !made_up.contains(name))
            .unwrap_or_default();
        made_up.push(name.clone());
        (name, Origin::Default)
    });
    Ok(names.collect())
}
