//! One `limit_conn_zone KEY zone=NAME:SIZE [v4_prefix=N] [v6_prefix=N] [on_full=reject|evict]`

use limiter_common::entry::MIN_ZONE_BYTES;

use super::{
    build::{invalid_parameter, invalid_value, misread},
    error::{ConfigError, shown},
    expand::Item,
    key,
    syntax::Word,
    word::{self, WordError},
};
use crate::policy::{
    Key, OnFull, Prefixes, Zone,
    origin::{Origin, ZoneOrigins},
};

/// Largest zone, bytes: its capacity, 64 Mi keys, is far from the edge of 32 bits.
pub(crate) const MAX_ZONE_BYTES: u64 = 4 << 30;
/// Bytes of a name at the most.
const MAX_NAME_BYTES: usize = 255;

/// A zone, and where it is written.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) zone: Zone,
    /// `zone=NAME:SIZE`
    pub(super) word: Word,
    pub(super) origins: ZoneOrigins,
}

impl Definition {
    pub(super) fn read(item: &Item) -> Result<Self, ConfigError> {
        let key_word = item.argument(0);
        let key = key::parse(&key_word.value).map_err(|error| misread(key_word, error))?;
        let parameters = Parameters::read(item)?;
        let Some(word) = parameters.zone else {
            let message = "\"limit_conn_zone\" must have \"zone\" parameter";
            return Err(ConfigError::at(&item.word.span, message)
                .expected("expected zone=NAME:SIZE behind the key"));
        };
        let (name, size_bytes) = name_and_size(word)?;
        parameters.check_prefixes(&key)?;
        let origins = ZoneOrigins {
            zone: word.span.origin(),
            key: key_word.span.origin(),
            size_bytes: word.span.origin(),
            v4_prefix: key.has_client().then(|| origin(parameters.v4_prefix)),
            v6_prefix: key.has_client().then(|| origin(parameters.v6_prefix)),
            on_full: origin(parameters.on_full),
        };
        let value = |given: Option<(u8, &Word)>| given.map(|(bits, _)| bits);
        let zone = Zone {
            name: name.to_owned(),
            key,
            size_bytes,
            prefixes: Prefixes {
                v4: value(parameters.v4_prefix).unwrap_or(Prefixes::WHOLE.v4),
                v6: value(parameters.v6_prefix).unwrap_or(Prefixes::WHOLE.v6),
            },
            on_full: parameters.on_full.map(|it| it.0).unwrap_or_default(),
        };
        Ok(Self {
            zone,
            word: word.clone(),
            origins,
        })
    }
}

fn origin<T>(given: Option<(T, &Word)>) -> Origin {
    given
        .map(|(_, word)| word.span.origin())
        .unwrap_or_default()
}

/// What stands behind the key.
#[derive(Default)]
struct Parameters<'a> {
    zone: Option<&'a Word>,
    v4_prefix: Option<(u8, &'a Word)>,
    v6_prefix: Option<(u8, &'a Word)>,
    on_full: Option<(OnFull, &'a Word)>,
}

impl<'a> Parameters<'a> {
    fn read(item: &'a Item) -> Result<Self, ConfigError> {
        let mut read = Self::default();
        for word in item.arguments.get(1..).unwrap_or_default() {
            let Some((name, value)) = word.value.split_once('=') else {
                return Err(invalid_parameter(word));
            };
            let start = name.len() + 1;
            let prefix = |longest| {
                let prefix = word::prefix(value, longest);
                prefix.map_err(|error| misread(word, error.at(start..word.value.len())))
            };
            let again = match name {
                "zone" => read.zone.replace(word).is_some(),
                "v4_prefix" => {
                    let bits = prefix(Prefixes::WHOLE.v4)?;
                    read.v4_prefix.replace((bits, word)).is_some()
                }
                "v6_prefix" => {
                    let bits = prefix(Prefixes::WHOLE.v6)?;
                    read.v6_prefix.replace((bits, word)).is_some()
                }
                "on_full" => {
                    let on_full = word::on_full(value)
                        .map_err(|error| invalid_value(item, word, &error.expected))?;
                    read.on_full.replace((on_full, word)).is_some()
                }
                _ => return Err(invalid_parameter(word)),
            };
            if again {
                let message = format!("duplicate parameter \"{name}\"");
                return Err(
                    ConfigError::at(&word.span, message).expected("given for the second time")
                );
            }
        }
        Ok(read)
    }

    /// Prefixes of a zone that has no addresses to cut mean nothing.
    fn check_prefixes(&self, key: &Key) -> Result<(), ConfigError> {
        let given = [self.v4_prefix, self.v6_prefix].into_iter().flatten();
        for (_, word) in given {
            check_prefix(key).map_err(|error| misread(word, error))?;
        }
        Ok(())
    }
}

/// Whether a zone with this key may have a prefix.
pub(super) fn check_prefix(key: &Key) -> Result<(), WordError> {
    if key.has_client() {
        return Ok(());
    }
    let message = "a prefix needs a key with the client address";
    Err(WordError::new(message, has_no_client(key)))
}

/// Why a zone with this key has no prefixes and no overrides.
pub(super) fn has_no_client(key: &Key) -> String {
    format!(
        "the key \"{}\" has no client address, such as $binary_remote_addr",
        shown(&key.text)
    )
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
pub(crate) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}
