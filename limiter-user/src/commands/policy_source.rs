//! Where a policy comes from: a configuration file or flags. The only file of the command line
//! that knows how configurations are read.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::policy::Policy;

pub(super) use config::Flags;

/// Read by `run` and `check` unless they are told otherwise.
pub(super) const DEFAULT_FILE: &str = "/etc/limiter/limiter.conf";

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

fn accept(loaded: config::Loaded) -> Result<Policy, Failure> {
    for warning in &loaded.warnings {
        eprint!("{}", config::render_warning(warning, false));
    }
    Ok(loaded.policy)
}

/// PLACEHOLDER with the interface of `crate::config`; replace this module by
/// `pub(super) use crate::config;`.
pub(super) mod config {
    use std::path::{Path, PathBuf};

    use limiter_common::key::KeyFields;

    use crate::policy::*;

    #[derive(Debug)]
    pub struct Loaded {
        pub policy: Policy,
        pub warnings: Vec<String>,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    pub struct ConfigError(String);

    pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
        Err(ConfigError(format!("{}: no parser yet", path.display())))
    }

    pub fn render(error: &ConfigError, _colour: bool) -> String {
        format!("limiter: {error}\n")
    }

    pub fn render_warning(warning: &str, _colour: bool) -> String {
        format!("warning: {warning}\n")
    }

    #[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
    pub struct Flags {
        #[arg(long)]
        cgroup: Vec<PathBuf>,
        #[arg(long)]
        listen: Vec<String>,
        #[arg(long)]
        limit: Option<String>,
        #[arg(long)]
        key: Option<String>,
        #[arg(long)]
        zone_size: Option<String>,
        #[arg(long)]
        dry_run: bool,
        #[arg(long)]
        log_level: Option<String>,
    }

    impl Flags {
        pub fn is_empty(&self) -> bool {
            *self == Self::default()
        }

        pub fn policy(&self) -> Result<Loaded, ConfigError> {
            let limit = self.limit.as_deref().unwrap_or_default();
            let number = limit
                .parse()
                .map_err(|_| ConfigError(format!("--limit {limit:?}")))?;
            let port = |port: &String| {
                let port = port
                    .parse()
                    .map_err(|_| ConfigError(format!("--listen {port}")))?;
                Ok(Listen {
                    addr: ListenAddr::Any,
                    first_port: port,
                    last_port: port,
                })
            };
            let policy = Policy {
                zones: vec![Zone {
                    name: "addr".to_owned(),
                    key: Key {
                        text: "$binary_remote_addr".to_owned(),
                        fields: KeyFields::REMOTE_ADDR,
                        empty: false,
                    },
                    size_bytes: 10 << 20,
                }],
                servers: vec![Server {
                    name: "default".to_owned(),
                    listen: self.listen.iter().map(port).collect::<Result<_, _>>()?,
                    limits: vec![LimitConn { zone: 0, number }],
                    dry_run: self.dry_run,
                    log_level: LogLevel::Error,
                    action: Action::Drop,
                }],
                attach: self.cgroup.iter().cloned().map(Attach::Cgroup).collect(),
                error_log: ErrorLog::default(),
                control: None,
            };
            let warnings = Vec::new();
            Ok(Loaded { policy, warnings })
        }
    }
}
