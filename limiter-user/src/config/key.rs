//! KEY: text and variables, together or alone.

use std::ops::Range;

use limiter_common::key::KeyFields;
use winnow::{
    Parser, Result,
    combinator::{alt, opt, repeat},
    stream::LocatingSlice,
    token::{take_till, take_while},
};

use super::{
    error::shown,
    suggest,
    word::{WordError, either},
};
use crate::policy::Key;

/// Variables, and what each tells apart. `$protocol` is always TCP, so far.
const VARIABLES: [(&str, KeyFields); 6] = [
    ("binary_remote_addr", KeyFields::REMOTE_ADDR),
    ("remote_addr", KeyFields::REMOTE_ADDR),
    ("server_addr", KeyFields::SERVER_ADDR),
    ("server_port", KeyFields::SERVER_PORT),
    ("server_name", KeyFields::SERVER_NAME),
    ("protocol", KeyFields::NONE),
];

/// Reads a key.
pub(crate) fn parse(word: &str) -> Result<Key, WordError> {
    let mut fields = KeyFields::NONE;
    for (fragment, range) in fragments(word) {
        fields = fields.union(match fragment {
            Fragment::Text => KeyFields::NONE,
            Fragment::Variable { name, closed } => {
                variable(name, closed).map_err(|error| error.at(range))?
            }
        });
    }
    Ok(Key {
        text: word.to_owned(),
        fields,
        empty: word.is_empty(),
    })
}

fn variable(name: &str, closed: bool) -> Result<KeyFields, WordError> {
    if !closed {
        return Err(WordError::new(
            format!(
                "the closing bracket in \"{}\" variable is missing",
                shown(name)
            ),
            "expected \"}\" behind it",
        ));
    }
    if name.is_empty() {
        return Err(WordError::new(
            "invalid variable name",
            "expected a name behind \"$\"",
        ));
    }
    if let Some((_, fields)) = VARIABLES.iter().find(|(text, _)| *text == name) {
        return Ok(*fields);
    }
    let expected = match suggest::closest(name, VARIABLES.iter().map(|(text, _)| *text)) {
        Some(close) => format!("did you mean \"${close}\"?"),
        None => {
            let names: Vec<_> = VARIABLES
                .iter()
                .map(|(text, _)| format!("${text}"))
                .collect();
            format!("expected {}", either(&names))
        }
    };
    Err(WordError::new(
        format!("unknown \"{}\" variable", shown(name)),
        expected,
    ))
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fragment<'a> {
    Text,
    /// `$name`, or `${name}`, whose bracket may be missing.
    Variable {
        name: &'a str,
        closed: bool,
    },
}

pub(crate) fn fragments(word: &str) -> Vec<(Fragment<'_>, Range<usize>)> {
    let name = || take_while(0.., |c: char| c.is_ascii_alphanumeric() || c == '_');
    let fragment = alt((
        ("${", name(), opt('}')).map(|(_, name, bracket)| Fragment::Variable {
            name,
            closed: bracket.is_some(),
        }),
        ('$', name()).map(|(_, name)| Fragment::Variable { name, closed: true }),
        take_till(1.., '$').value(Fragment::Text),
    ));
    let parsed: Result<Vec<_>, ()> =
        repeat(0.., fragment.with_span()).parse_next(&mut LocatingSlice::new(word));
    // Any text is a sequence of fragments: there is nothing that could fail.
    parsed.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_union_of_its_variables() {
        let client = KeyFields::REMOTE_ADDR;
        let table = [
            ("$binary_remote_addr", client),
            ("$remote_addr", client),
            ("${remote_addr}", client),
            (
                "$binary_remote_addr$server_port",
                client.union(KeyFields::SERVER_PORT),
            ),
            (
                "${server_addr}x$server_name",
                KeyFields::SERVER_ADDR.union(KeyFields::SERVER_NAME),
            ),
            ("$protocol", KeyFields::NONE),
            ("all connections", KeyFields::NONE),
            ("", KeyFields::NONE),
        ];
        for (word, fields) in table {
            let key = parse(word).expect(word);
            assert_eq!((key.fields, key.text.as_str()), (fields, word));
            assert_eq!(key.empty, word.is_empty());
        }
    }

    #[test]
    fn an_unknown_variable_is_named() {
        let table = [
            ("$remote_adr", "unknown \"remote_adr\" variable", 0..11),
            ("x${host}", "unknown \"host\" variable", 1..8),
            ("$1", "unknown \"1\" variable", 0..2),
            ("a$", "invalid variable name", 1..2),
            ("${}", "invalid variable name", 0..3),
            ("$-", "invalid variable name", 0..1),
            (
                "${server_port",
                "the closing bracket in \"server_port\" variable is missing",
                0..13,
            ),
        ];
        for (word, message, part) in table {
            let error = parse(word).expect_err(word);
            assert_eq!((error.message.as_str(), error.part), (message, Some(part)));
        }
    }
}
