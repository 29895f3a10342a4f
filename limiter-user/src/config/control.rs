//! `control PATH [group=NAME|GID] [others=read|nothing]`

use std::path::PathBuf;

use super::{
    build::{absolute_path, invalid_parameter, invalid_value, misread},
    error::{ConfigError, shown},
    expand::Item,
    source::Span,
    word::{self, WordError},
};
use crate::policy::{Grant, Group, Others, origin::Origin};

/// Bytes of a Unix socket's path at the most (unix(7): 108 with the final zero).
const MAX_SOCKET_PATH: usize = 107;

const OTHERS: [(&str, Others); 2] = [("read", Others::Read), ("nothing", Others::Nothing)];

/// The directive as it was read.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) path: PathBuf,
    pub(super) grant: Grant,
    group: Option<Span>,
    others: Option<Span>,
}

impl Control {
    pub(super) fn read(item: &Item) -> Result<Self, ConfigError> {
        let mut control = Self {
            path: path(item)?,
            grant: Grant::default(),
            group: None,
            others: None,
        };
        for word in item.arguments.get(1..).unwrap_or_default() {
            let Some((name, value)) = word.value.split_once('=') else {
                return Err(invalid_parameter(word));
            };
            let start = name.len() + 1;
            let again = match name {
                "group" => {
                    let group = group(value)
                        .map_err(|error| misread(word, error.at(start..word.value.len())))?;
                    control.grant.group = Some(group);
                    control.group.replace(word.span.clone()).is_some()
                }
                "others" => {
                    control.grant.others = others(value)
                        .map_err(|error| invalid_value(item, word, &error.expected))?;
                    control.others.replace(word.span.clone()).is_some()
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
        Ok(control)
    }

    /// Of `group=` and `others=`.
    pub(super) fn grant_origins(&self) -> (Origin, Origin) {
        let origin = |span: &Option<Span>| span.as_ref().map(Span::origin).unwrap_or_default();
        (origin(&self.group), origin(&self.others))
    }
}

/// `group=`. That there is such a group is looked up once, now.
pub(super) fn group(word: &str) -> Result<Group, WordError> {
    const EXPECTED: &str = "expected the name of a group of this machine, or its number";
    let found = |gid| Group {
        name: word.to_owned(),
        gid,
    };
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
        // The last number stands for no group at all (chown(2)).
        let gid = word.parse().ok().filter(|gid| *gid != u32::MAX);
        return gid.map(found).ok_or_else(|| {
            let message = format!("invalid number of a group \"{}\"", shown(word));
            WordError::new(message, EXPECTED)
        });
    }
    match nix::unistd::Group::from_name(word) {
        Ok(Some(group)) => Ok(found(group.gid.as_raw())),
        Ok(None) => {
            let message = format!("unknown group \"{}\"", shown(word));
            Err(WordError::new(message, EXPECTED))
        }
        Err(error) => {
            let message = format!("look up group \"{}\": {}", shown(word), error.desc());
            Err(WordError::new(message, EXPECTED))
        }
    }
}

/// `others=`
pub(super) fn others(word: &str) -> Result<Others, WordError> {
    word::one_of(word, &OTHERS)
}

fn path(item: &Item) -> Result<PathBuf, ConfigError> {
    let word = item.argument(0);
    let path = absolute_path(item, word)?;
    if word.value.len() > MAX_SOCKET_PATH {
        let message = format!(
            "\"{}\" is too long for the path of a Unix socket",
            shown(&word.value)
        );
        return Err(ConfigError::at(&word.span, message)
            .expected(format!("{MAX_SOCKET_PATH} bytes at the most")));
    }
    Ok(path)
}
