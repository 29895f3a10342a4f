//! Where the values of a policy come from. The shape and the names are those of
//! [`PolicyStatus`](crate::api::PolicyStatus), which has the values.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// Where one value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// It is written nowhere.
    #[default]
    Default,
    /// A configuration file.
    File {
        /// As it was named when it was read.
        file: String,
        /// From 1.
        line: usize,
        /// The place is in the main context, and the value that of a server.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inherited: bool,
    },
    /// A flag of `run`.
    Flag {
        /// With its dashes.
        flag: String,
    },
}

impl Origin {
    /// A flag that was given, or the default.
    pub fn flag(flag: &str, given: bool) -> Self {
        if !given {
            return Self::Default;
        }
        Self::Flag {
            flag: flag.to_owned(),
        }
    }

    /// The same place as a server sees it that inherits from there.
    #[must_use]
    pub fn inherited(mut self) -> Self {
        if let Self::File { inherited, .. } = &mut self {
            *inherited = true;
        }
        self
    }
}

/// `default`, `FILE:LINE`, `inherited from FILE:LINE` or `--flag`; always one line.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File {
                file,
                line,
                inherited,
            } => {
                let from = if *inherited { "inherited from " } else { "" };
                f.write_str(from)?;
                for character in file.chars() {
                    if character.is_control() {
                        write!(f, "{}", character.escape_default())?;
                    } else {
                        f.write_char(character)?;
                    }
                }
                write!(f, ":{line}")
            }
            Self::Flag { flag } => f.write_str(flag),
        }
    }
}

/// Of a whole policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins {
    /// Zone by zone.
    pub zones: Vec<ZoneOrigins>,
    /// Server by server.
    pub servers: Vec<ServerOrigins>,
    /// Upstream by upstream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<UpstreamOrigins>,
    /// Cgroup by cgroup.
    pub cgroups: Vec<Origin>,
    /// Interface by interface.
    pub interfaces: Vec<InterfaceOrigins>,
    /// Target of the log.
    pub error_log: Origin,
    /// Level of the log.
    pub error_log_level: Origin,
    /// Control socket.
    pub control: Origin,
    /// `group=` of the control socket.
    #[serde(default)]
    pub control_group: Origin,
    /// `others=` of the control socket.
    #[serde(default)]
    pub control_others: Origin,
    /// Address by address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Origin>,
    /// `metrics_top`
    #[serde(default)]
    pub metrics_top: Origin,
    /// `metrics_run_time`
    #[serde(default)]
    pub metrics_run_time: Origin,
}

/// Of one upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamOrigins {
    /// Its name.
    pub upstream: Origin,
    /// Server by server.
    pub servers: Vec<Origin>,
    /// `queue`
    #[serde(default)]
    pub queue: Origin,
    /// `limit_conn_dry_run` of the main context.
    pub dry_run: Origin,
    /// `limit_conn_log_level` of the main context.
    pub log_level: Origin,
}

/// Of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceOrigins {
    /// Its name.
    pub interface: Origin,
    /// `mode=`
    pub mode: Origin,
}

/// Of one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneOrigins {
    /// Its name.
    pub zone: Origin,
    /// KEY
    pub key: Origin,
    /// SIZE
    pub size_bytes: Origin,
    /// `v4_prefix=`; only if the client address is in the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4_prefix: Option<Origin>,
    /// `v6_prefix=`; only if the client address is in the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6_prefix: Option<Origin>,
    /// `on_full=`
    pub on_full: Origin,
}

/// Of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerOrigins {
    /// The block; the default if the configuration has none.
    pub block: Origin,
    /// Its name.
    pub server: Origin,
    /// Endpoint by endpoint.
    pub listen: Vec<Origin>,
    /// Limit by limit.
    pub limits: Vec<LimitOrigins>,
    /// `limit_conn_override off`, if that is why there is no override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides_off: Option<Origin>,
    /// Exempt network by exempt network.
    pub exempt: Vec<Origin>,
    /// Why no network is exempt; only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt_off: Option<Origin>,
    /// `limit_conn_dry_run`
    pub dry_run: Origin,
    /// `limit_conn_log_level`
    pub log_level: Origin,
    /// `limit_conn_action`
    pub action: Origin,
    /// `delay=`; only with the action `close`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<Origin>,
}

/// Of one limit of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitOrigins {
    /// `limit_conn`
    pub limit: Origin,
    /// Override by override.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Origin>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_strange_name_stays_on_one_line() {
        let origin = Origin::File {
            file: "a b\n#é.conf".to_owned(),
            line: 7,
            inherited: false,
        };
        assert_eq!(origin.to_string(), "a b\\n#é.conf:7");
        let inherited = origin.inherited().to_string();
        assert_eq!(inherited, "inherited from a b\\n#é.conf:7");
        let flag = Origin::flag("--key", true);
        assert_eq!(flag.clone().inherited(), flag);
    }
}
