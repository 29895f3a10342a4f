//! A policy from the flags of `limiter run`, without a file.

use std::path::{self, PathBuf};

use clap::ArgAction;
use ipnet::IpNet;
use limiter_common::key::KeyFields;

use super::{
    Loaded, action, attach, claims, control,
    error::{ConfigError, shown},
    key, listen, metrics,
    server::DEFAULT_NAME,
    warnings,
    word::{self, WordError},
    zone,
};
use crate::policy::{
    Action, Attach, ErrorLog, Grant, Interface, Key, LimitConn, Listen, LogLevel, Policy, Prefixes,
    Server, XdpMode, Zone,
};

mod origins;

/// Name of the only zone.
const ZONE_NAME: &str = "addr";
const DEFAULT_KEY: &str = "$binary_remote_addr";
const DEFAULT_ZONE_BYTES: u64 = 10 << 20;

/// What `limiter run` takes instead of a file. The words are checked by [`Flags::policy`], so that
/// they are the same words, with the same messages, as in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Flags {
    /// Limit the connections to sockets of this cgroup and those below [default: all]
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<PathBuf>,
    /// Also refuse on this interface, before the network stack sees the attempt
    #[arg(long, value_name = "NAME")]
    pub interface: Vec<String>,
    /// Limit the connections to this endpoint [default: all]
    #[arg(long, value_name = "[ADDR:]PORT[-PORT]")]
    pub listen: Vec<String>,
    /// Connections per key at the most
    #[arg(long, value_name = "N")]
    pub limit: Option<String>,
    /// What to count by: text and variables, as in `limit_conn_zone` [default: $binary_remote_addr]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Room for keys; 1m holds 16384 of them [default: 10m]
    #[arg(long, value_name = "SIZE")]
    pub zone_size: Option<String>,
    /// Count IPv4 clients by so many bits of their address [default: 32]
    #[arg(long, value_name = "N")]
    pub v4_prefix: Option<String>,
    /// Count IPv6 clients by so many bits of their address [default: 128]
    #[arg(long, value_name = "N")]
    pub v6_prefix: Option<String>,
    /// What becomes of a new key when the zone is full: reject or evict [default: reject]
    #[arg(long, value_name = "reject|evict")]
    pub on_full: Option<String>,
    /// How attempts are refused: drop, reset or close [delay=TIME] [default: drop]
    #[arg(
        long,
        num_args = 1..=2,
        value_names = ["ACTION", "delay=TIME"],
        action = ArgAction::Set
    )]
    pub action: Vec<String>,
    /// Count and report, but refuse nobody
    #[arg(long)]
    pub dry_run: bool,
    /// Level at which refusals are logged: info, notice, warn or error [default: error]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Let the members of this group do everything on the control socket [default: root only]
    #[arg(long, value_name = "NAME|GID")]
    pub control_group: Option<String>,
    /// What everybody else may do on the control socket: read or nothing [default: nothing]
    #[arg(long, value_name = "read|nothing")]
    pub control_others: Option<String>,
    /// Serve counters over TCP at this address, for Prometheus and others who only read
    #[arg(long, value_name = "[ADDR:]PORT")]
    pub metrics: Vec<String>,
}

impl Flags {
    /// Whether no flag was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The policy that the flags describe: one zone, `addr`, and one server, `default`.
    ///
    /// # Errors
    ///
    /// A word that means nothing, two equal endpoints, or no `--limit`; the message names the
    /// flag.
    pub fn policy(&self) -> Result<Loaded, ConfigError> {
        let Some(limit) = &self.limit else {
            return Err(ConfigError::placeless("--limit is missing").help(
                "--limit N caps the connections per key; \
                 --config FILE reads everything from a file",
            ));
        };
        let number = word::connections(limit).map_err(|error| misread("--limit", error))?;
        let log_level = match &self.log_level {
            Some(text) => {
                word::refusal_level(text).map_err(|error| misread("--log-level", error))?
            }
            None => LogLevel::Error,
        };
        let policy = Policy {
            zones: vec![self.zone()?],
            servers: vec![Server {
                name: DEFAULT_NAME.to_owned(),
                listen: self.endpoints()?,
                limits: vec![LimitConn {
                    zone: 0,
                    number,
                    overrides: Vec::new(),
                }],
                exempt: Vec::new(),
                dry_run: self.dry_run,
                log_level,
                action: self.action()?,
            }],
            upstreams: Vec::new(),
            attach: self.attach()?,
            error_log: ErrorLog::default(),
            control: None,
            grant: self.grant()?,
            metrics: metrics::of_flag("--metrics", &self.metrics)?,
        };
        Ok(Loaded {
            warnings: warnings::of_flags(&policy, self.v6_prefix.is_some()),
            origins: self.origins(&policy),
            policy,
        })
    }

    fn zone(&self) -> Result<Zone, ConfigError> {
        let key = self.key()?;
        let prefix = |flag, text: &Option<String>, longest| {
            let Some(text) = text else {
                return Ok(longest);
            };
            let checked = zone::check_prefix(&key);
            let prefix = checked.and_then(|()| word::prefix(text, longest));
            prefix.map_err(|error| misread(flag, error))
        };
        let prefixes = Prefixes {
            v4: prefix("--v4-prefix", &self.v4_prefix, Prefixes::WHOLE.v4)?,
            v6: prefix("--v6-prefix", &self.v6_prefix, Prefixes::WHOLE.v6)?,
        };
        let on_full = self.on_full.as_deref().map(word::on_full);
        let on_full = on_full.transpose();
        Ok(Zone {
            name: ZONE_NAME.to_owned(),
            size_bytes: self.zone_bytes()?,
            prefixes,
            on_full: on_full
                .map_err(|error| misread("--on-full", error))?
                .unwrap_or_default(),
            key,
        })
    }

    fn key(&self) -> Result<Key, ConfigError> {
        match &self.key {
            Some(text) => key::parse(text).map_err(|error| misread("--key", error)),
            None => Ok(Key {
                text: DEFAULT_KEY.to_owned(),
                fields: KeyFields::REMOTE_ADDR,
                empty: false,
            }),
        }
    }

    fn zone_bytes(&self) -> Result<u64, ConfigError> {
        const FLAG: &str = "--zone-size";
        let Some(text) = &self.zone_size else {
            return Ok(DEFAULT_ZONE_BYTES);
        };
        let bytes = word::size(text).ok_or_else(|| {
            let message = format!("invalid zone size \"{}\"", shown(text));
            misread(
                FLAG,
                WordError::new(message, "expected a size such as 64k, 10m or 1g"),
            )
        })?;
        zone::check_size(ZONE_NAME, bytes)
            .map_err(|(message, expected)| misread(FLAG, WordError::new(message, expected)))?;
        Ok(bytes)
    }

    fn action(&self) -> Result<Action, ConfigError> {
        if self.action.is_empty() {
            return Ok(Action::default());
        }
        parse_action("--action", &self.action)
    }

    fn grant(&self) -> Result<Grant, ConfigError> {
        let group = self.control_group.as_deref().map(control::group);
        let others = self.control_others.as_deref().map(control::others);
        Ok(Grant {
            group: group
                .transpose()
                .map_err(|error| misread("--control-group", error))?,
            others: others
                .transpose()
                .map_err(|error| misread("--control-others", error))?
                .unwrap_or_default(),
        })
    }

    fn endpoints(&self) -> Result<Vec<Listen>, ConfigError> {
        let mut endpoints: Vec<Listen> = Vec::new();
        for text in &self.listen {
            let listen = listen::parse(text).map_err(|error| misread("--listen", error))?;
            if let Some(first) = endpoints
                .iter()
                .find(|other| claims::overlap(**other, listen))
            {
                return Err(ConfigError::placeless(format!(
                    "--listen: \"{listen}\" is already covered by \"{first}\""
                )));
            }
            endpoints.push(listen);
        }
        Ok(endpoints)
    }

    /// A path on the command line starts from the working directory; in the policy it is absolute.
    fn attach(&self) -> Result<Vec<Attach>, ConfigError> {
        let mut attach: Vec<Attach> = Vec::new();
        for path in &self.cgroup {
            let typed = path.to_string_lossy();
            let absolute = path::absolute(path).map_err(|error| {
                let message = format!("--cgroup: invalid path \"{}\": {error}", shown(&typed));
                ConfigError::placeless(message)
            })?;
            add(&mut attach, Attach::Cgroup(absolute), "--cgroup", &typed)?;
        }
        for name in &self.interface {
            let name =
                attach::interface_name(name).map_err(|error| misread("--interface", error))?;
            let interface = Interface {
                name: name.clone(),
                mode: XdpMode::Auto,
            };
            add(
                &mut attach,
                Attach::Interface(interface),
                "--interface",
                &name,
            )?;
        }
        Ok(attach)
    }
}

fn add(all: &mut Vec<Attach>, one: Attach, flag: &str, typed: &str) -> Result<(), ConfigError> {
    if all.iter().any(|other| attach::is_same_place(other, &one)) {
        let message = format!("{flag}: \"{}\" is given twice", shown(typed));
        return Err(ConfigError::placeless(message));
    }
    all.push(one);
    Ok(())
}

/// An action from words of the command line, which are those of `limit_conn_action`.
///
/// # Errors
///
/// A word that means nothing; the message begins with `name`, whose words they are.
pub fn parse_action(name: &str, words: &[String]) -> Result<Action, ConfigError> {
    action::all(words).map_err(|error| misread(name, error))
}

/// A network from a word of the command line, as in `limit_conn_exempt`.
///
/// # Errors
///
/// A word that is none; the message begins with `name`, whose word it is.
pub fn parse_network(name: &str, word: &str) -> Result<IpNet, ConfigError> {
    word::network(word).map_err(|error| misread(name, error))
}

pub(super) fn misread(flag: &str, error: WordError) -> ConfigError {
    ConfigError::placeless(format!("{flag}: {}", error.message)).help(error.expected)
}
