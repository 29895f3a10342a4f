//! Which events a subscriber wants: the query of `GET /events`, both ends.

use std::{fmt, net::IpAddr, str::FromStr};

use form_urlencoded::Serializer;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    refusal::Refusal,
    route::{parameters, unknown_parameter},
};
use crate::{
    api::{Event, EventState},
    network,
};

/// Which events a subscriber wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Connections that pass and close, too.
    pub all: bool,
    /// One zone only.
    pub zone: Option<String>,
    /// One server only.
    pub server: Option<String>,
    /// These only. Empty: refusals, and with `all` the rest.
    pub status: Vec<EventState>,
    /// Clients of this network only.
    pub addr: Option<IpNet>,
    /// Those that the daemon remembers of this time and later, before those to come.
    pub since: Option<Timestamp>,
    /// Those behind this one that the daemon remembers, before those to come.
    pub after: Option<Position>,
}

/// How far somebody has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// What the numbers belong to. A daemon that takes over goes on with the same, one that begins anew
    /// has another.
    pub stream: u64,
    /// [`Event::number`]
    pub number: u64,
}

/// Header of the answer to `GET /events`: the position of the newest event, as `after` takes it.
pub const POSITION_HEADER: &str = "limiter-position";

impl EventFilter {
    /// Understands a query.
    pub fn parse(query: &str) -> Result<Self, Refusal> {
        let mut filter = Self::default();
        for (name, value) in parameters(query) {
            match name.as_ref() {
                "all" => filter.all = parse_switch(&value)?,
                "zone" => filter.zone = Some(value.into_owned()),
                "server" => filter.server = Some(value.into_owned()),
                "status" => {
                    let status = parse_status(&value).ok_or_else(|| {
                        wrong(
                            "status",
                            &value,
                            "none of PASSED, REJECTED, REJECTED_DRY_RUN, CLOSED",
                        )
                    })?;
                    filter.status.push(status);
                }
                "addr" => {
                    let addr = network::parse(&value)
                        .map_err(|_| wrong("addr", &value, "neither an address nor a network"))?;
                    filter.addr = Some(addr);
                }
                "since" => {
                    let since = value
                        .parse()
                        .map_err(|_| wrong("since", &value, "no time in the form of RFC 3339"))?;
                    filter.since = Some(since);
                }
                "after" => {
                    let after = value
                        .parse()
                        .map_err(|()| wrong("after", &value, "not STREAM:NUMBER"))?;
                    filter.after = Some(after);
                }
                _ => return Err(unknown_parameter(&name)),
            }
        }
        Ok(filter)
    }

    /// The query that is understood as this.
    pub fn to_query(&self) -> String {
        let mut query = Serializer::new(String::new());
        if self.all {
            query.append_pair("all", "1");
        }
        if let Some(zone) = &self.zone {
            query.append_pair("zone", zone);
        }
        if let Some(server) = &self.server {
            query.append_pair("server", server);
        }
        for status in &self.status {
            query.append_pair("status", status.as_str());
        }
        if let Some(addr) = &self.addr {
            query.append_pair("addr", &addr.to_string());
        }
        if let Some(since) = &self.since {
            query.append_pair("since", &since.to_string());
        }
        if let Some(after) = &self.after {
            query.append_pair("after", &after.to_string());
        }
        query.finish()
    }

    /// Whether `event` is among those asked for.
    pub fn wants(&self, event: &Event) -> bool {
        self.wants_status(event.status)
            && self.zone.as_ref().is_none_or(|zone| *zone == event.zone)
            && self
                .server
                .as_ref()
                .is_none_or(|server| *server == event.server)
            && self.addr.is_none_or(|addr| holds(&addr, event.remote_addr))
            && self.since.is_none_or(|since| event.time >= since)
    }

    /// Whether the programs have to report connections that pass and close.
    pub fn wants_passed(&self) -> bool {
        self.wants_status(EventState::Passed) || self.wants_status(EventState::Closed)
    }

    fn wants_status(&self, status: EventState) -> bool {
        if self.status.is_empty() {
            self.all || !status.is_on_request()
        } else {
            self.status.contains(&status)
        }
    }
}

fn holds(network: &IpNet, addr: IpAddr) -> bool {
    network.contains(&addr)
}

fn parse_switch(value: &str) -> Result<bool, Refusal> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err(wrong("all", other, "neither 1 nor 0")),
    }
}

/// As in an event, or as one writes it on a command line.
pub fn parse_status(text: &str) -> Option<EventState> {
    let word = text.replace('-', "_").to_ascii_uppercase();
    EventState::ALL.into_iter().find(|it| it.as_str() == word)
}

fn wrong(name: &str, value: &str, why: &str) -> Refusal {
    Refusal::bad_request(format!("parameter {name}: {value:?} is {why}"))
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{}", self.stream, self.number)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (stream, number) = text.split_once(':').ok_or(())?;
        Ok(Self {
            stream: u64::from_str_radix(stream, 16).map_err(drop)?,
            number: number.parse().map_err(drop)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reads_back() {
        let filter = EventFilter {
            all: true,
            zone: Some("per addr".to_owned()),
            server: Some("a&b".to_owned()),
            status: vec![EventState::Closed, EventState::RejectedDryRun],
            addr: Some("2001:db8::/32".parse().expect("literal")),
            since: Some("2026-01-01T12:00:00.5Z".parse().expect("literal")),
            after: Some(Position {
                stream: 0xab,
                number: 7,
            }),
        };
        assert_eq!(EventFilter::parse(&filter.to_query()), Ok(filter));
        assert_eq!(EventFilter::parse(""), Ok(EventFilter::default()));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (query, text) in [
            ("all=maybe", "parameter all: \"maybe\" is neither 1 nor 0"),
            (
                "status=LOST",
                "parameter status: \"LOST\" is none of PASSED, REJECTED, REJECTED_DRY_RUN, CLOSED",
            ),
            (
                "addr=10.0.0.0/99",
                "parameter addr: \"10.0.0.0/99\" is neither an address nor a network",
            ),
            (
                "since=yesterday",
                "parameter since: \"yesterday\" is no time in the form of RFC 3339",
            ),
            ("after=7", "parameter after: \"7\" is not STREAM:NUMBER"),
            ("key=x", "unknown parameter \"key\""),
        ] {
            let refusal = EventFilter::parse(query).expect_err(query);
            assert_eq!(refusal.text, text);
        }
    }

    #[test]
    fn each_part_of_a_filter_holds() {
        let event = |status| Event {
            status,
            ..Event::example()
        };
        let wants =
            |query: &str, event: &Event| EventFilter::parse(query).expect("a filter").wants(event);
        let rejected = event(EventState::Rejected);
        let closed = event(EventState::Closed);
        for (query, refusal, close) in [
            ("", true, false),
            ("all=1", true, true),
            ("status=closed", false, true),
            ("status=rejected&status=rejected-dry-run", true, false),
            ("addr=192.0.2.0/24", true, false),
            ("addr=192.0.3.0/24&all=1", false, false),
            ("addr=2001:db8::1&all=1", false, false),
            ("zone=other&all=1", false, false),
            ("server=default&all=1", true, true),
            ("since=1970-01-01T00:00:01Z&all=1", false, false),
        ] {
            assert_eq!(wants(query, &rejected), refusal, "{query}");
            assert_eq!(wants(query, &closed), close, "{query}");
        }
    }
}
