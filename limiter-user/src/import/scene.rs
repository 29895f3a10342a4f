//! What of a tree has to do with connections, in its contexts.

use std::collections::HashMap;

use crate::config::grammar::{Directive, Word};

/// `http` or `stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Stream,
}

impl Kind {
    /// The block.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Stream => "stream",
        }
    }
}

/// Everything of interest.
#[derive(Debug)]
pub(super) struct Scene<'t> {
    pub(super) contexts: Vec<Context<'t>>,
    /// `limit_req` and `limit_req_zone`, wherever they stand.
    pub(super) requests: Vec<&'t Directive>,
}

/// What stands in `http`, in `stream`, or in a file that one of them includes.
#[derive(Debug)]
pub(super) struct Context<'t> {
    pub(super) kind: Kind,
    /// `limit_conn_zone`, and `limit_zone` of old.
    pub(super) zones: Vec<&'t Directive>,
    /// `geo` and `map` by the name of their variable, without `$`.
    pub(super) tables: HashMap<&'t str, &'t Directive>,
    pub(super) level: Level<'t>,
    pub(super) servers: Vec<Server<'t>>,
    /// Blocks outside of every server that limit something: a file with nothing but a `location`.
    pub(super) locations: Vec<Location<'t>>,
    pub(super) upstreams: Vec<&'t Directive>,
}

/// Directives that are inherited.
#[derive(Debug, Default)]
pub(super) struct Level<'t> {
    /// `limit_conn`
    pub(super) limits: Vec<&'t Directive>,
    pub(super) dry_run: Option<&'t Directive>,
    pub(super) log_level: Option<&'t Directive>,
    pub(super) status: Option<&'t Directive>,
    /// `set_real_ip_from`
    pub(super) real_ip: Vec<&'t Directive>,
}

/// `server`
#[derive(Debug)]
pub(super) struct Server<'t> {
    pub(super) directive: &'t Directive,
    pub(super) names: Vec<&'t Word>,
    pub(super) listens: Vec<&'t Directive>,
    pub(super) level: Level<'t>,
    pub(super) locations: Vec<Location<'t>>,
    /// `return` in the server itself: it has an answer before limits are asked.
    pub(super) returns: bool,
}

/// A `location`, or any other block in a server.
#[derive(Debug)]
pub(super) struct Location<'t> {
    pub(super) directive: &'t Directive,
    pub(super) level: Level<'t>,
}

/// Looks through a whole configuration. What stands outside of `http` and `stream` is taken as
/// included by one of them.
pub(super) fn look_through(tree: &[Directive]) -> Scene<'_> {
    let mut contexts = Vec::new();
    let mut outside = Vec::new();
    for directive in tree {
        match directive.name.value.as_str() {
            "http" => contexts.push(Context::read(Kind::Http, inside(directive))),
            "stream" => contexts.push(Context::read(Kind::Stream, inside(directive))),
            "mail" | "events" => {}
            _ => outside.push(directive),
        }
    }
    let kind = if outside.iter().any(|directive| is_of_stream(directive)) {
        Kind::Stream
    } else {
        Kind::Http
    };
    contexts.push(Context::read(kind, outside));
    let mut requests = Vec::new();
    for directive in tree {
        collect_requests(directive, &mut requests);
    }
    Scene { contexts, requests }
}

fn inside(directive: &Directive) -> &[Directive] {
    directive
        .block
        .as_ref()
        .map_or(&[], |block| block.directives.as_slice())
}

/// Whether it is a server that forwards connections without any `location`, or datagrams.
fn is_of_stream(directive: &Directive) -> bool {
    directive.name.value == "server"
        && inside(directive)
            .iter()
            .any(|child| match child.name.value.as_str() {
                "proxy_pass" | "ssl_preread" => true,
                "listen" => child.arguments.iter().any(|word| word.value == "udp"),
                _ => false,
            })
}

fn collect_requests<'t>(directive: &'t Directive, requests: &mut Vec<&'t Directive>) {
    if matches!(
        directive.name.value.as_str(),
        "limit_req" | "limit_req_zone"
    ) {
        requests.push(directive);
    }
    for child in inside(directive) {
        collect_requests(child, requests);
    }
}

impl<'t> Context<'t> {
    fn read(kind: Kind, directives: impl IntoIterator<Item = &'t Directive>) -> Self {
        let mut context = Self {
            kind,
            zones: Vec::new(),
            tables: HashMap::new(),
            level: Level::default(),
            servers: Vec::new(),
            locations: Vec::new(),
            upstreams: Vec::new(),
        };
        for directive in directives {
            context.take(directive);
        }
        context
    }

    fn take(&mut self, directive: &'t Directive) {
        match directive.name.value.as_str() {
            "limit_conn_zone" | "limit_zone" => self.zones.push(directive),
            // Without a block it is a line of an `upstream`.
            "server" if directive.block.is_some() => self.servers.push(Server::read(directive)),
            "upstream" => self.upstreams.push(directive),
            "geo" | "map" => {
                let variable = directive.arguments.last();
                if let Some(name) = variable.and_then(|word| word.value.strip_prefix('$')) {
                    self.tables.insert(name, directive);
                }
            }
            _ if directive.block.is_some() => Location::collect(directive, &mut self.locations),
            _ => self.level.take(directive),
        }
    }
}

impl<'t> Level<'t> {
    fn take(&mut self, directive: &'t Directive) {
        match directive.name.value.as_str() {
            "limit_conn" => self.limits.push(directive),
            "limit_conn_dry_run" => self.dry_run = Some(directive),
            "limit_conn_log_level" => self.log_level = Some(directive),
            "limit_conn_status" => self.status = Some(directive),
            "set_real_ip_from" => self.real_ip.push(directive),
            _ => {}
        }
    }

    /// Whether it says anything about limits.
    fn limits_something(&self) -> bool {
        !self.limits.is_empty()
            || self.dry_run.is_some()
            || self.log_level.is_some()
            || self.status.is_some()
    }
}

impl<'t> Server<'t> {
    fn read(directive: &'t Directive) -> Self {
        let mut server = Self {
            directive,
            names: Vec::new(),
            listens: Vec::new(),
            level: Level::default(),
            locations: Vec::new(),
            returns: false,
        };
        for child in inside(directive) {
            match child.name.value.as_str() {
                "listen" => server.listens.push(child),
                "server_name" => server.names.extend(&child.arguments),
                "return" => server.returns = true,
                _ if child.block.is_some() => Location::collect(child, &mut server.locations),
                _ => server.level.take(child),
            }
        }
        server
    }
}

impl<'t> Location<'t> {
    /// This block and those in it, as far as they limit something.
    fn collect(directive: &'t Directive, locations: &mut Vec<Self>) {
        let mut level = Level::default();
        let mut blocks = Vec::new();
        for child in inside(directive) {
            match child.block {
                Some(_) => blocks.push(child),
                None => level.take(child),
            }
        }
        if level.limits_something() {
            locations.push(Self { directive, level });
        }
        for block in blocks {
            Self::collect(block, locations);
        }
    }
}
