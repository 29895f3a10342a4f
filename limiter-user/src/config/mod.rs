//! The configuration: nginx's grammar, limiter's directives.
//!
//! ```text
//! text ─ lexer ─ syntax ─────── expand ────────────────── build ─ Policy
//!        tokens  tree as typed  known directives in       values, names, inheritance,
//!                               their places, includes    conflicts
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `source`, `error` | places in a text, and messages about them |
//! | `lexer`, `lua`, `syntax` | nginx's lexical rules, and the tree as typed |
//! | `directives` | the table of what may stand where |
//! | `files`, `wildcard`, `expand` | `include`, and the check against the table |
//! | `word`, `listen`, `key`, `action` | single words, the same for a file and for flags |
//! | `build`, `attach`, `control`, `zone`, `zones` | from directives to a [`Policy`] |
//! | `level`, `once`, `networks`, `server` | what the main context and servers have |
//! | `inherit`, `claims` | what is in force in each server |
//! | `warnings` | what is hardly meant that way |
//! | `flags` | the same from the flags of `run` |
//! | `grammar` | what other readers of nginx's grammar take from here |
//!
//! Every input gives a [`Loaded`] or one [`ConfigError`]; sizes, nesting and the number of files
//! are bounded.

mod action;
mod attach;
mod build;
mod claims;
mod control;
mod directives;
mod error;
mod error_log;
mod expand;
mod files;
mod flags;
mod inherit;
mod key;
mod level;
mod lexer;
mod listen;
mod lua;
mod metrics;
mod networks;
mod once;
mod server;
mod source;
mod suggest;
mod syntax;
mod upstream;
mod warnings;
mod wildcard;
mod word;
mod zone;
mod zones;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use self::{
    error::{ConfigError, Warning, render, render_warning},
    flags::{Flags, parse_action, parse_network},
};
use self::{expand::expand, files::Files};
use crate::policy::{Policy, origin::Origins};

/// The grammar is nginx's, so [`import`](crate::import) reads with the same eyes.
pub(crate) mod grammar {
    pub(crate) use super::{
        claims::without_room,
        error::{hides, shown},
        files::{Files, MAX_FILE_BYTES, open_regular},
        key::{Fragment, fragments, parse as key},
        listen::parse as listen,
        source::{Source, Span},
        syntax::{Directive, Word, parse_foreign},
        word::{connections, refusal_level, size, switch},
        zone::{MAX_ZONE_BYTES, is_name},
    };
}

/// A configuration that can be enforced.
#[derive(Debug)]
pub struct Loaded {
    /// What was typed, checked.
    pub policy: Policy,
    /// Where its values come from.
    pub origins: Origins,
    /// What was hardly meant that way.
    pub warnings: Vec<Warning>,
}

/// Reads a configuration file and everything that it includes.
///
/// # Errors
///
/// The first thing that is wrong, be it a file that cannot be read, the grammar, or the meaning.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let mut files = Files::default();
    let first = files.open_first(path)?;
    build::build(&expand(&first, files)?)
}

/// Reads a configuration from memory. `name` stands for the file in messages; what the text
/// includes is looked for in the directory of `name`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(name: &str, text: &str) -> Result<Loaded, ConfigError> {
    let mut files = Files::default();
    let first = files.take_first(Path::new(name), text)?;
    build::build(&expand(&first, files)?)
}
