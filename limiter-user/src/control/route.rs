//! From method, path and query to a typed request. Pure: no body, no daemon.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

pub use self::api::{ApiRoute, VERSION};
pub use super::filter::EventFilter;
use super::refusal::Refusal;
use crate::api::TopBy;

mod api;

/// Keys in `GET /zones/NAME` unless the query says otherwise.
pub const DEFAULT_TOP: usize = 10;

/// What is asked for; a change's details are in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /status`
    Status,
    /// `GET /zones`
    Zones,
    /// `GET /zones/NAME[?top=N&by=connections|rejected]`
    Zone {
        /// Name as the configuration has it.
        name: String,
        /// Which keys.
        top: Top,
    },
    /// `GET /connections[?zone=Z&key=K&n=N]`
    Connections(Holders),
    /// `GET /events[?all=1&zone=Z&server=S&status=S&addr=CIDR&since=TIME&after=STREAM:NUMBER]`
    Events(EventFilter),
    /// What is also answered at the ports of `metrics`.
    Public(Public),
    /// `DELETE /api/9/stream/limit_conns/ZONE`
    ResetZone {
        /// Name as the configuration has it.
        name: String,
    },
    /// A POST.
    Change(Change),
}

/// What everybody may read who gets to a port of `metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Public {
    /// `GET /api/…`, as nginx has it.
    Api(ApiRoute),
    /// `GET /metrics`, as Prometheus reads it.
    Metrics,
}

impl Public {
    /// Whether it may take long, because it is about single keys.
    pub fn reads_much(&self) -> bool {
        matches!(self, Self::Metrics)
    }
}

/// The changes; each has its own body in [`crate::api`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `POST /dry-run`
    DryRun,
    /// `POST /log-level`
    LogLevel,
    /// `POST /action`
    Action,
    /// `POST /limit`
    Limit,
    /// `POST /exempt`
    Exempt,
    /// `POST /reload`
    Reload,
    /// `POST /reset`
    Reset,
    /// `POST /audit`
    Audit,
    /// `POST /detach`
    Detach,
}

/// Which keys of a zone are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    /// So many at the most.
    pub keys: usize,
    /// Those with most connections in any case; with [`TopBy::Rejected`] those with most refusals,
    /// too.
    pub by: TopBy,
}

/// Connections in `GET /connections` unless the query says otherwise.
pub const DEFAULT_HOLDERS: usize = 50;

/// Which open connections are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holders {
    /// Of one zone only.
    pub zone: Option<String>,
    /// Of one key only, or of some: an address or a network, a port, or the name of a server.
    pub key: Option<String>,
    /// So many at the most.
    pub count: usize,
}

impl Route {
    /// Understands the first line of a request.
    pub fn parse(method: &Method, path: &str, query: &str) -> Result<Self, Refusal> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match segments.as_slice() {
            ["status"] => {
                only(method, path, "GET")?;
                no_query(query)?;
                Ok(Self::Status)
            }
            ["zones"] => {
                only(method, path, "GET")?;
                no_query(query)?;
                Ok(Self::Zones)
            }
            ["zones", name] if !name.is_empty() => {
                only(method, path, "GET")?;
                Ok(Self::Zone {
                    name: decode(name)?,
                    top: parse_top(query)?,
                })
            }
            ["connections"] => {
                only(method, path, "GET")?;
                parse_holders(query).map(Self::Connections)
            }
            ["events"] => {
                only(method, path, "GET")?;
                EventFilter::parse(query).map(Self::Events)
            }
            ["metrics"] => {
                api::only_read(method, path, "GET, HEAD")?;
                Ok(Self::Public(Public::Metrics))
            }
            ["api", rest @ ..] => api::parse(method, path, rest, query),
            ["dry-run"] => change(method, path, query, Change::DryRun),
            ["log-level"] => change(method, path, query, Change::LogLevel),
            ["action"] => change(method, path, query, Change::Action),
            ["limit"] => change(method, path, query, Change::Limit),
            ["exempt"] => change(method, path, query, Change::Exempt),
            ["reload"] => change(method, path, query, Change::Reload),
            ["reset"] => change(method, path, query, Change::Reset),
            ["audit"] => change(method, path, query, Change::Audit),
            ["detach"] => change(method, path, query, Change::Detach),
            _ => Err(Refusal::unknown_path(path)),
        }
    }
}

impl Route {
    /// Whether it is about every key or every connection.
    pub fn reads_much(&self) -> bool {
        match self {
            Self::Zone { .. } | Self::Connections(_) | Self::Change(Change::Audit) => true,
            Self::Public(wanted) => wanted.reads_much(),
            _ => false,
        }
    }
}

fn change(method: &Method, path: &str, query: &str, change: Change) -> Result<Route, Refusal> {
    only(method, path, "POST")?;
    no_query(query)?;
    Ok(Route::Change(change))
}

fn only(method: &Method, path: &str, allowed: &'static str) -> Result<(), Refusal> {
    if method.as_str() == allowed {
        return Ok(());
    }
    Err(Refusal::method_not_allowed(method.as_str(), path, allowed))
}

fn no_query(query: &str) -> Result<(), Refusal> {
    match parameters(query).next() {
        None => Ok(()),
        Some((name, _)) => Err(unknown_parameter(&name)),
    }
}

fn parse_top(query: &str) -> Result<Top, Refusal> {
    let mut top = Top {
        keys: DEFAULT_TOP,
        by: TopBy::default(),
    };
    for (name, value) in parameters(query) {
        match name.as_ref() {
            "top" => top.keys = parse_number(&name, &value)?,
            "by" => {
                top.by = match value.as_ref() {
                    "connections" => TopBy::Connections,
                    "rejected" => TopBy::Rejected,
                    other => {
                        return Err(Refusal::bad_request(format!(
                            "parameter by: {other:?} is neither connections nor rejected"
                        )));
                    }
                };
            }
            _ => return Err(unknown_parameter(&name)),
        }
    }
    Ok(top)
}

fn parse_number(name: &str, value: &str) -> Result<usize, Refusal> {
    let refusal = |_| Refusal::bad_request(format!("parameter {name}: {value:?} is not a number"));
    value.parse().map_err(refusal)
}

fn parse_holders(query: &str) -> Result<Holders, Refusal> {
    let mut wanted = Holders {
        zone: None,
        key: None,
        count: DEFAULT_HOLDERS,
    };
    for (name, value) in parameters(query) {
        match name.as_ref() {
            "zone" => wanted.zone = Some(value.into_owned()),
            "key" => wanted.key = Some(value.into_owned()),
            "n" => wanted.count = parse_number(&name, &value)?,
            _ => return Err(unknown_parameter(&name)),
        }
    }
    Ok(wanted)
}

/// Names and values of a query.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes())
}

/// There is no parameter of this name.
pub(super) fn unknown_parameter(name: &str) -> Refusal {
    Refusal::bad_request(format!("unknown parameter {name:?}"))
}

fn decode(segment: &str) -> Result<String, Refusal> {
    percent_decode_str(segment)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| Refusal::bad_request(format!("{segment:?} is not UTF-8")))
}

#[cfg(test)]
mod tests;
