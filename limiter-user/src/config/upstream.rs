//! `upstream NAME { server ADDRESS:PORT [max_conns=N]; … }`

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use limiter_common::upstream::{MAX_UPSTREAM_SERVERS, queue::MAX_WAITING_CONNECTS};

use super::{
    build::{invalid_parameter, misread},
    directives::Kind,
    error::{ConfigError, shown},
    expand::Item,
    level::Level,
    listen,
    source::Span,
    syntax::Word,
    word::{self, WordError},
    zone::is_name,
};
use crate::policy::{
    ListenAddr, LogLevel, Queue, Upstream, UpstreamServer,
    origin::{Origin, UpstreamOrigins},
};

/// The upstreams read so far.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    drafts: Vec<Draft>,
    /// Places in all queues.
    queued: u32,
    /// Where each address and port stands, and the name of its upstream.
    servers: HashMap<SocketAddr, (String, Span)>,
}

/// Before it inherits.
#[derive(Debug)]
struct Draft {
    name: Word,
    servers: Vec<(UpstreamServer, Span)>,
    queue: Option<(Queue, Span)>,
}

/// Parameters of nginx that say how load is balanced, or what counts as a failure.
const BALANCING: [&str; 11] = [
    "weight",
    "max_fails",
    "fail_timeout",
    "slow_start",
    "backup",
    "down",
    "drain",
    "resolve",
    "route",
    "service",
    "sid",
];

impl Upstreams {
    pub(super) fn read(&mut self, item: &Item) -> Result<(), ConfigError> {
        let name = item.argument(0);
        if !is_name(&name.value) {
            let message = format!("invalid upstream name \"{}\"", shown(&name.value));
            return Err(ConfigError::at(&name.span, message)
                .expected("expected a name of 1 to 255 bytes, without control characters"));
        }
        let mut drafts = self.drafts.iter();
        if let Some(other) = drafts.find(|other| other.name.value == name.value) {
            let message = format!("duplicate upstream \"{}\"", shown(&name.value));
            return Err(ConfigError::at(&name.span, message)
                .expected("this name is taken")
                .related(&other.name.span, "defined here before"));
        }
        let mut draft = Draft {
            name: name.clone(),
            servers: Vec::new(),
            queue: None,
        };
        for item in &item.items {
            if item.kind == Kind::Queue {
                self.queue(item, &mut draft.queue)?;
            } else {
                let server = self.server(item, name)?;
                draft.servers.push(server);
            }
        }
        if draft.servers.is_empty() {
            let message = "no servers are inside upstream";
            return Err(ConfigError::at(&item.word.span, message)
                .expected("expected \"server ADDRESS:PORT max_conns=N;\" in it"));
        }
        self.drafts.push(draft);
        Ok(())
    }

    fn server(
        &mut self,
        item: &Item,
        upstream: &Word,
    ) -> Result<(UpstreamServer, Span), ConfigError> {
        let word = item.argument(0);
        let addr = address(&word.value).map_err(|error| misread(word, error))?;
        if let Some((other, place)) = self.servers.get(&addr) {
            let message = if *other == upstream.value {
                format!(
                    "duplicate server \"{addr}\" in upstream \"{}\"",
                    shown(other)
                )
            } else {
                format!(
                    "server \"{addr}\" is in upstream \"{}\" already",
                    shown(other)
                )
            };
            return Err(ConfigError::at(&word.span, message)
                .expected("a connection counts for one server")
                .related(place, "given here before")
                .help(
                    "connections are told apart by address and port alone, keep one of the two",
                ));
        }
        if self.servers.len() == MAX_UPSTREAM_SERVERS as usize {
            let message =
                format!("too many servers in upstreams, {MAX_UPSTREAM_SERVERS} at the most");
            return Err(ConfigError::at(&item.word.span, message));
        }
        let mut max_conns = None;
        for word in item.arguments.get(1..).unwrap_or_default() {
            let (name, value) = word.value.split_once('=').unwrap_or((&word.value, ""));
            if name == "max_conns" && word.value.contains('=') {
                let start = name.len() + 1;
                let number = number(value)
                    .map_err(|error| misread(word, error.at(start..word.value.len())))?;
                if max_conns.replace(number).is_some() {
                    return Err(
                        ConfigError::at(&word.span, "duplicate parameter \"max_conns\"")
                            .expected("given for the second time"),
                    );
                }
            } else if BALANCING.contains(&name) {
                let message = format!(
                    "parameter \"{name}\" is not supported: limiter counts connections and \
                     balances no load, leave it in the configuration of the proxy"
                );
                return Err(ConfigError::at(&word.span, message).expected("remove it"));
            } else {
                return Err(invalid_parameter(word));
            }
        }
        let place = (upstream.value.clone(), word.span.clone());
        self.servers.insert(addr, place);
        let server = UpstreamServer {
            addr,
            max_conns: max_conns.unwrap_or(0),
        };
        Ok((server, item.word.span.clone()))
    }

    fn queue(&mut self, item: &Item, queue: &mut Option<(Queue, Span)>) -> Result<(), ConfigError> {
        if let Some((_, other)) = queue {
            return Err(
                ConfigError::at(&item.word.span, "\"queue\" directive is duplicate")
                    .expected("given for the second time")
                    .related(other, "given here before"),
            );
        }
        let word = item.argument(0);
        let max = match number(&word.value) {
            Ok(max) if max > 0 => max,
            _ => {
                let message = format!("invalid value \"{}\"", shown(&word.value));
                let error = WordError::new(message, "expected a number from 1 on");
                return Err(misread(word, error));
            }
        };
        self.queued = self.queued.saturating_add(max);
        if self.queued > MAX_WAITING_CONNECTS {
            let message = "too long queues";
            return Err(ConfigError::at(&word.span, message).expected(format!(
                "all queues together have at most {MAX_WAITING_CONNECTS} places"
            )));
        }
        let timeout_ms = match item.arguments.get(1) {
            None => Queue::MAX_TIMEOUT_MS,
            Some(word) => match word.value.strip_prefix("timeout=") {
                None => return Err(invalid_parameter(word)),
                Some(text) => timeout(&word.value, text).map_err(|error| misread(word, error))?,
            },
        };
        *queue = Some((Queue { max, timeout_ms }, item.word.span.clone()));
        Ok(())
    }

    /// With what they inherit from the main context, and where they stand.
    pub(super) fn resolve(&self, main: &Level) -> (Vec<Upstream>, Vec<UpstreamOrigins>) {
        let drafts = self.drafts.iter();
        let resolved = drafts.map(|draft| {
            let upstream = Upstream {
                name: draft.name.value.clone(),
                servers: draft.servers.iter().map(|(server, _)| *server).collect(),
                queue: draft.queue.as_ref().map(|(queue, _)| *queue),
                dry_run: main.dry_run.value().copied().unwrap_or(false),
                log_level: main.log_level.value().copied().unwrap_or(LogLevel::Error),
            };
            let origins = UpstreamOrigins {
                upstream: draft.name.span.origin(),
                servers: draft.servers.iter().map(|(_, it)| it.origin()).collect(),
                queue: match &draft.queue {
                    Some((_, span)) => span.origin(),
                    None => Origin::default(),
                },
                dry_run: main.dry_run.origin(),
                log_level: main.log_level.origin(),
            };
            (upstream, origins)
        });
        resolved.unzip()
    }
}

/// `ADDRESS:PORT`
fn address(word: &str) -> Result<SocketAddr, WordError> {
    // nginx assumes port 80 here, and asks the DNS for names.
    let listen = listen::parse(word).map_err(|mut error| {
        error.message += " of the \"server\" directive";
        error
    })?;
    let one_port = listen.first_port == listen.last_port;
    let addr = match listen.addr {
        ListenAddr::Ip(addr) if !addr.is_unspecified() && one_port => addr,
        ListenAddr::Any | ListenAddr::Ip(_) => return Err(not_one(word)),
    };
    Ok(SocketAddr::new(addr, listen.first_port))
}

fn not_one(word: &str) -> WordError {
    let name = !word.is_empty() && !word.contains(':') && word.parse::<u16>().is_err();
    let expected = if name && word.parse::<IpAddr>().is_err() {
        "expected an address, not a name: limiter does not ask the DNS"
    } else {
        "expected ADDRESS:PORT, one address and one port"
    };
    WordError::new(
        format!(
            "invalid address \"{}\" of the \"server\" directive",
            shown(word)
        ),
        expected,
    )
}

/// `timeout=TIME`, milliseconds.
fn timeout(word: &str, text: &str) -> Result<u32, WordError> {
    let ms = word::time_of(word, text, "timeout", Queue::MAX_TIMEOUT_MS)?;
    if ms == 0 {
        let message = format!("invalid timeout value \"{}\"", shown(word));
        return Err(WordError::new(message, "expected more than no time"));
    }
    Ok(ms)
}

/// `max_conns=N`: 0 to 4294967295.
fn number(word: &str) -> Result<u32, WordError> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let number = word.parse().ok().filter(|_| digits);
    number.ok_or_else(|| {
        WordError::new(
            format!("invalid number of connections \"{}\"", shown(word)),
            "expected a number; 0 is no limit",
        )
    })
}
