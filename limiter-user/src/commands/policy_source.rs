//! Where a policy comes from: a configuration file or flags. The only file of the command line
//! that knows how configurations are read.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::policy::{Action, Policy};

pub(super) use crate::config::{self, Flags};

/// Read by `run` and `check` unless they are told otherwise.
pub(super) const DEFAULT_FILE: &str = "/etc/limiter/limiter.conf";

/// What the actions do, for `--help`.
pub(super) const ACTIONS: &str = "\
Actions:
  drop                the client gets no answer, and tries again until it gives up
  reset               the client gets ECONNREFUSED at once
  close [delay=TIME]  the connection is accepted in place of the application, which sees nothing of
                      it, and closed after TIME, one hour at the most: 500ms, 2s, 1m30s";

/// The policy of a file. Warnings go to standard error.
pub(super) fn from_file(path: &Path) -> Result<Policy, Failure> {
    accept(config::load(path)?)
}

/// The policy of `run`: a file, or flags, or the default file.
pub(super) fn choose(file: Option<PathBuf>, flags: &Flags) -> Result<Policy, Failure> {
    if let Some(file) = file {
        return from_file(&file);
    }
    if !flags.is_empty() {
        return accept(flags.policy()?);
    }
    let default = Path::new(DEFAULT_FILE);
    if default.exists() {
        return from_file(default);
    }
    Err(Failure::Usage {
        text: "run: nothing to enforce, and /etc/limiter/limiter.conf does not exist",
        hint: "--limit N caps the connections per client address; --config FILE reads a file",
    })
}

/// The words of `limiter action`.
pub(super) fn action(words: &[String]) -> Result<Action, Failure> {
    Ok(config::parse_action("action", words)?)
}

fn accept(loaded: config::Loaded) -> Result<Policy, Failure> {
    for warning in &loaded.warnings {
        eprint!("{}", config::render_warning(warning, false));
    }
    Ok(loaded.policy)
}
