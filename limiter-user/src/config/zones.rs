//! `limit_conn_zone KEY zone=NAME:SIZE`

use limiter_common::{entry::MIN_ZONE_BYTES, policy::MAX_ZONES};

use super::{
    build::{invalid_parameter, misread},
    error::{ConfigError, Warning, shown},
    expand::{Item, unsupported},
    key, suggest,
    syntax::Word,
    word,
};
use crate::policy::{Server, Zone};

/// Largest zone, bytes: its capacity, 64 Mi keys, is far from the edge of 32 bits.
pub(super) const MAX_ZONE_BYTES: u64 = 4 << 30;
/// Bytes of a name at the most.
pub(super) const MAX_NAME_BYTES: usize = 255;

/// The zones read so far.
#[derive(Debug, Default)]
pub(super) struct Zones {
    zones: Vec<Zone>,
    /// The word that defines each.
    words: Vec<Word>,
}

impl Zones {
    pub(super) fn define(&mut self, item: &Item) -> Result<(), ConfigError> {
        let key = item.argument(0);
        let key = key::parse(&key.value).map_err(|error| misread(key, error))?;
        let Some(word) = zone_parameter(item.arguments.get(1..).unwrap_or_default())? else {
            let message = "\"limit_conn_zone\" must have \"zone\" parameter";
            return Err(ConfigError::at(&item.word.span, message)
                .expected("expected zone=NAME:SIZE behind the key"));
        };
        let (name, size_bytes) = name_and_size(word)?;
        if let Some(other) = self.zones.iter().position(|zone| zone.name == name) {
            let message = format!(
                "limit_conn_zone \"{}\" is already bound to key \"{}\"",
                shown(name),
                shown(&self.zones[other].key.text)
            );
            return Err(ConfigError::at(&word.span, message)
                .expected("this name is taken")
                .related(&self.words[other].span, "defined here before"));
        }
        if self.zones.len() == MAX_ZONES as usize {
            let message = format!("too many zones, {MAX_ZONES} at the most");
            return Err(ConfigError::at(&item.word.span, message));
        }
        self.zones.push(Zone {
            name: name.to_owned(),
            key,
            size_bytes,
        });
        self.words.push(word.clone());
        Ok(())
    }

    /// The position of the zone that `limit_conn` names.
    pub(super) fn find(&self, word: &Word) -> Result<usize, ConfigError> {
        let names = || self.zones.iter().map(|zone| zone.name.as_str());
        if let Some(index) = names().position(|name| name == word.value) {
            return Ok(index);
        }
        let error = ConfigError::at(
            &word.span,
            format!("unknown zone \"{}\"", shown(&word.value)),
        )
        .expected(match suggest::closest(&word.value, names()) {
            Some(close) => format!("did you mean \"{}\"?", shown(close)),
            None => "expected the name of a zone".to_owned(),
        });
        let known: Vec<_> = names().map(|name| format!("\"{}\"", shown(name))).collect();
        Err(error.help(if known.is_empty() {
            "no zone is defined; limit_conn_zone KEY zone=NAME:SIZE; defines one".to_owned()
        } else {
            format!("known zones: {}", known.join(", "))
        }))
    }

    /// A warning for each zone that limits nothing.
    pub(super) fn unused(&self, servers: &[Server]) -> Vec<Warning> {
        let used = |index| {
            let mut limits = servers.iter().flat_map(|server| &server.limits);
            limits.any(|limit| limit.zone == index)
        };
        (0..self.zones.len())
            .filter(|index| !used(*index))
            .map(|index| {
                let name = &self.zones[index].name;
                let message = format!("zone \"{}\" is not used by any server", shown(name));
                Warning::at(&self.words[index].span, message)
                    .help(format!("limit_conn {} NUMBER;", shown(name)))
            })
            .collect()
    }

    pub(super) fn into_zones(self) -> Vec<Zone> {
        self.zones
    }
}

/// The word with `zone=`, once every parameter has been looked at.
fn zone_parameter(parameters: &[Word]) -> Result<Option<&Word>, ConfigError> {
    let mut zone: Option<&Word> = None;
    for word in parameters {
        match word.value.split_once('=') {
            Some(("zone", _)) if zone.is_some() => {
                return Err(ConfigError::at(&word.span, "duplicate parameter \"zone\"")
                    .expected("given for the second time"));
            }
            Some(("zone", _)) => zone = Some(word),
            Some(("on_full", "reject")) => {}
            Some(("on_full", "evict")) => return Err(unsupported(word, "on_full=evict")),
            Some((name @ ("v4_prefix" | "v6_prefix"), _)) => return Err(unsupported(word, name)),
            _ => return Err(invalid_parameter(word)),
        }
    }
    Ok(zone)
}

/// Takes `zone=NAME:SIZE` apart.
fn name_and_size(word: &Word) -> Result<(&str, u64), ConfigError> {
    const PREFIX: usize = "zone=".len();
    let value = word.value.get(PREFIX..).unwrap_or_default();
    let (name, size) = value.split_once(':').unwrap_or((value, ""));
    if !is_name(name) {
        let message = format!("invalid zone name \"{}\"", shown(&word.value));
        return Err(
            ConfigError::at(&word.part(PREFIX..PREFIX + name.len()), message)
                .expected("expected zone=NAME:SIZE"),
        );
    }
    let place = word.part(word.value.len() - size.len()..word.value.len());
    let Some(bytes) = word::size(size) else {
        let message = format!("invalid zone size \"{}\"", shown(&word.value));
        return Err(ConfigError::at(&place, message)
            .expected("expected NAME:SIZE, with a size such as 64k, 10m or 1g"));
    };
    check_size(name, bytes)
        .map_err(|(message, expected)| ConfigError::at(&place, message).expected(expected))?;
    Ok((name, bytes))
}

/// Whether a zone of this name may have so many bytes; if not, the message and what is expected.
pub(super) fn check_size(name: &str, bytes: u64) -> Result<(), (String, String)> {
    if bytes < MIN_ZONE_BYTES {
        let expected = format!("expected at least {}k", MIN_ZONE_BYTES >> 10);
        return Err((format!("zone \"{}\" is too small", shown(name)), expected));
    }
    if bytes > MAX_ZONE_BYTES {
        let expected = format!("expected at most {}g", MAX_ZONE_BYTES >> 30);
        return Err((format!("zone \"{}\" is too large", shown(name)), expected));
    }
    Ok(())
}

/// Names end up in log lines, in JSON and in URLs.
pub(super) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}
