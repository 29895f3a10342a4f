//! Standard output: data and nothing else.

use std::io::{self, Write};

use serde::Serialize;

use super::failure::Failure;

/// Writes text that carries its own newlines.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes what a program reads as it is.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes);
    written
        .and_then(|()| stdout.flush())
        .map_err(Failure::Output)
}

/// Writes one value as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut line =
        serde_json::to_string(value).map_err(|error| Failure::Output(io::Error::from(error)))?;
    line.push('\n');
    text(&line)
}
