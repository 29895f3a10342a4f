//! A `server` of nginx with what it inherits.

use std::{collections::HashMap, rc::Rc};

use super::{
    listen::Endpoint,
    note::{Note, Places},
    scene::{Context, Kind, Level, Server},
    sockets::Claim,
    zone::Zones,
};
use crate::{
    config::grammar::{Directive, Span, connections, refusal_level, shown, switch},
    policy::LogLevel,
    render::words::word,
};

/// Bad directives of one level that are told.
const MAX_BAD: usize = 50;

/// `limit_conn ZONE NUMBER`
#[derive(Clone, Debug)]
pub(super) struct Limit {
    /// Position of the zone.
    pub(super) zone: usize,
    pub(super) number: u16,
    pub(super) place: Span,
}

/// The `limit_conn` of one level.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) good: Vec<Limit>,
    pub(super) bad: Vec<Note>,
}

impl Limits {
    pub(super) fn read(level: &Level<'_>, context: usize, zones: &Zones, places: &Places) -> Self {
        let mut limits = Self::default();
        let mut seen = HashMap::new();
        for directive in &level.limits {
            let limit = one(directive, context, zones).and_then(|limit| {
                match seen.insert(limit.zone, ()) {
                    None => Ok(limit),
                    Some(()) => Err("the zone has a limit already".to_owned()),
                }
            });
            match limit {
                Ok(limit) => limits.good.push(limit),
                Err(_) if limits.bad.len() == MAX_BAD => {}
                Err(reason) => {
                    let text = format!("{}: {reason}.", places.quote(directive));
                    limits.bad.push(Note::new(text));
                }
            }
        }
        limits
    }
}

fn one(directive: &Directive, context: usize, zones: &Zones) -> Result<Limit, String> {
    let [zone, number] = directive.arguments.as_slice() else {
        return Err("it needs a zone and a number".to_owned());
    };
    let index = zones.find(context, &zone.value).ok_or_else(|| {
        let zone = shown(&zone.value);
        format!("zone \"{zone}\" is not defined in what was read, or it is not well defined")
    })?;
    Ok(Limit {
        zone: index,
        number: connections(&number.value).map_err(|error| error.message)?,
        place: directive.name.span.clone(),
    })
}

/// A server with what is in force in it.
#[derive(Debug)]
pub(super) struct Host<'t> {
    pub(super) context: usize,
    pub(super) server: &'t Server<'t>,
    /// Its own limits, or those of its context.
    pub(super) limits: Rc<Limits>,
    /// Whether they are its own.
    pub(super) has_own: bool,
    /// The largest number that a location gives a zone, and where.
    pub(super) raised: HashMap<usize, (u16, &'t Directive)>,
    pub(super) dry_run: Option<(bool, Span)>,
    pub(super) log_level: Option<(LogLevel, Span)>,
    /// Where `set_real_ip_from` changes the client address.
    pub(super) real_ip: Option<&'t Directive>,
    /// What of `listen` is not limited.
    pub(super) unlimited: Vec<Note>,
}

impl<'t> Host<'t> {
    /// Reads a server. Its position is that which its claims will have.
    pub(super) fn read(
        server: &'t Server<'t>,
        (index, context): (usize, &'t Context<'t>),
        inherited: &Rc<Limits>,
        zones: &Zones,
        places: &Places,
    ) -> Self {
        let has_own = !server.level.limits.is_empty();
        let mut raised: HashMap<usize, (u16, &Directive)> = HashMap::new();
        for location in &server.locations {
            for limit in Limits::read(&location.level, index, zones, places).good {
                let highest = raised.entry(limit.zone).or_insert((0, location.directive));
                if limit.number > highest.0 {
                    *highest = (limit.number, location.directive);
                }
            }
        }
        let levels = [&server.level, &context.level];
        let setting = |which: fn(&Level<'t>) -> Option<&'t Directive>| {
            let directive = levels.iter().find_map(|level| which(level))?;
            Some((directive.arguments.first()?, directive.name.span.clone()))
        };
        Self {
            context: index,
            server,
            limits: if has_own {
                Rc::new(Limits::read(&server.level, index, zones, places))
            } else {
                Rc::clone(inherited)
            },
            has_own,
            raised,
            dry_run: setting(|level| level.dry_run)
                .and_then(|(word, place)| Some((switch(&word.value).ok()?, place))),
            log_level: setting(|level| level.log_level)
                .and_then(|(word, place)| Some((refusal_level(&word.value).ok()?, place))),
            real_ip: real_ip(server, context),
            unlimited: Vec::new(),
        }
    }

    /// Where it listens; what is not limited becomes a note.
    pub(super) fn claim(
        &mut self,
        position: usize,
        kind: Kind,
        places: &Places,
        claims: &mut Vec<Claim>,
    ) {
        let place = &self.server.directive.name.span;
        let mut add = |endpoint: Endpoint, place: &Span| {
            claims.extend(endpoint.addresses.iter().map(|address| Claim {
                address: *address,
                first_port: endpoint.first_port,
                last_port: endpoint.last_port,
                server: position,
                is_default: endpoint.is_default,
                place: place.clone(),
            }));
        };
        if self.server.listens.is_empty() && kind == Kind::Http {
            add(Endpoint::unspoken(), place);
        }
        for directive in &self.server.listens {
            match Endpoint::read(directive, kind) {
                Ok(endpoint) => add(endpoint, &directive.name.span),
                Err(_) if self.unlimited.len() == MAX_BAD => {}
                Err(reason) => {
                    let text = format!("{}: {reason}.", places.quote(directive));
                    self.unlimited.push(Note::new(text));
                }
            }
        }
        if self.server.listens.is_empty() && kind == Kind::Stream {
            let place = places.of(place);
            let text = format!(
                "{place}: this server has no \"listen\", and here it would cover every port of the \
                 host. With a port of its own:"
            );
            self.unlimited.push(Note::new(text).instead("listen PORT;"));
        }
    }

    /// For messages.
    pub(super) fn title(&self, places: &Places) -> String {
        let place = places.of(&self.server.directive.name.span);
        match self.server.names.first() {
            Some(name) if !name.value.is_empty() => {
                format!("\"{}\" ({place})", shown(&name.value))
            }
            _ => format!("the server at {place}"),
        }
    }
}

/// Where nginx takes another address than that which connects for the client's.
fn real_ip<'t>(server: &Server<'t>, context: &Context<'t>) -> Option<&'t Directive> {
    let own = &server.level.real_ip;
    let trusted = if own.is_empty() {
        &context.level.real_ip
    } else {
        own
    };
    // Connections over a Unix socket are not limited anyway.
    let mut trusted = trusted.iter().filter(|directive| {
        let from = directive.arguments.first();
        from.is_none_or(|word| word.value != "unix:")
    });
    let has_proxy = || {
        let mut listens = server.listens.iter();
        listens.any(|listen| Endpoint::read(listen, context.kind).is_ok_and(|it| it.has_proxy))
    };
    // `stream` has no other source for the address.
    let first = trusted.next()?;
    (context.kind == Kind::Http || has_proxy()).then_some(first)
}

/// `limit_conn ZONE NUMBER;` for limiter.
pub(super) fn limit_conn(zones: &Zones, zone: usize, number: u16) -> String {
    let name = zones.all.get(zone).map_or("", |zone| &zone.new_name);
    format!("limit_conn {} {number};", word(name))
}
