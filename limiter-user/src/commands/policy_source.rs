//! Where a policy comes from: a configuration file or flags. The only file of the command line
//! that knows how configurations are read.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::IpNet;

use super::failure::Failure;
use crate::{
    daemon::reload::{Fresh, Message, Source},
    import::{self, Import},
    policy::{Action, Policy},
};

pub(super) use crate::config::{self, ConfigError, Flags, Loaded, Warning};

/// Read by `run` and `check` unless they are told otherwise.
pub(super) const DEFAULT_FILE: &str = "/etc/limiter/limiter.conf";

/// What the actions do, for `--help`.
pub(super) const ACTIONS: &str = "\
Actions:
  drop                the client gets no answer, and tries again until it gives up
  reset               the client gets ECONNREFUSED at once
  close [delay=TIME]  the connection is accepted in place of the application, which sees nothing of
                      it, and closed after TIME, one hour at the most: 500ms, 2s, 1m30s";

/// What `check` looks at: a file, or flags, or the default file. Warnings and advice go to standard
/// error.
pub(super) fn examine(file: Option<PathBuf>, flags: &Flags) -> Result<Loaded, Failure> {
    let loaded = match file {
        None if !flags.is_empty() => flags.policy()?,
        None => config::load(Path::new(DEFAULT_FILE))?,
        Some(file) => config::load(&file)?,
    };
    say(&loaded.warnings, |_| true);
    Ok(loaded)
}

/// A foreign configuration as one of limiter. It has been read back: what `check` would not take is
/// not given out.
pub(super) fn translate(file: &Path) -> Result<Import, Failure> {
    let import = import::load(file)?;
    match config::parse("the result", &import.text) {
        Ok(_) => Ok(import),
        Err(error) => Err(Failure::Import(error)),
    }
}

/// The policy of `run`: a file, or flags, or the default file; and how it is read again. Warnings
/// go to standard error.
pub(super) fn choose(file: Option<PathBuf>, flags: Flags) -> Result<(Policy, Source), Failure> {
    let default = Path::new(DEFAULT_FILE);
    let file = match file {
        Some(file) => file,
        None if !flags.is_empty() => {
            return first(move || flags.policy());
        }
        None if default.exists() => default.to_owned(),
        None => {
            return Err(Failure::Usage {
                text: "run: nothing to enforce, and /etc/limiter/limiter.conf does not exist",
                hint: "--limit N caps the connections per client address; --config FILE reads a file",
            });
        }
    };
    first(move || config::load(&file))
}

/// Reads for the first time.
fn first(
    read: impl Fn() -> Result<Loaded, ConfigError> + Send + Sync + 'static,
) -> Result<(Policy, Source), Failure> {
    let loaded = read()?;
    say(&loaded.warnings, is_warning);
    let again = move || match read() {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().filter(|it| is_warning(it));
            Ok(Fresh {
                warnings: warnings
                    .map(|warning| Message {
                        line: warning.to_string(),
                        text: config::render_warning(warning, false),
                    })
                    .collect(),
                policy: loaded.policy,
            })
        }
        Err(error) => Err(Message {
            line: error.to_string(),
            text: config::render(&error, false),
        }),
    };
    Ok((loaded.policy, Arc::new(again)))
}

/// The words of `limiter action`.
pub(super) fn action(words: &[String]) -> Result<Action, Failure> {
    Ok(config::parse_action("action", words)?)
}

/// The word of `limiter exempt`.
pub(super) fn network(word: &str) -> Result<IpNet, Failure> {
    Ok(config::parse_network("exempt", word)?)
}

/// Advice is for those who ask.
fn is_warning(warning: &Warning) -> bool {
    !warning.is_advice()
}

fn say(warnings: &[Warning], which: impl Fn(&Warning) -> bool) {
    for warning in warnings.iter().filter(|warning| which(warning)) {
        eprint!("{}", config::render_warning(warning, false));
    }
}
