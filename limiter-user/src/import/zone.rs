//! `limit_conn_zone`, and `limit_zone` of old.

use std::collections::{HashMap, HashSet};

use limiter_common::{entry::MIN_ZONE_BYTES, policy::MAX_ZONES};

use super::{
    key::{self, Translated},
    scene::{Context, Kind, Scene},
    table::Tables,
    variable::Lost,
};
use crate::config::grammar::{Directive, MAX_ZONE_BYTES, Span, is_name, shown, size};

/// Zones that are looked at; the rest stand as comments.
const MAX_READ: usize = 1000;

/// A zone of nginx.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) place: Span,
    pub(super) kind: Kind,
    /// As nginx's `limit_conn` names it.
    pub(super) name: String,
    /// As limiter's `limit_conn` names it: `http` and `stream` have names of their own in nginx.
    pub(super) new_name: String,
    /// KEY as typed.
    pub(super) typed: String,
    pub(super) bytes: u64,
    /// It had more.
    pub(super) was_larger: bool,
    /// Why not completes `zone "NAME": `.
    pub(super) key: Result<Translated, Lost>,
}

impl Zone {
    /// Whether the client address is counted.
    pub(super) fn has_client(&self) -> bool {
        self.key.as_ref().is_ok_and(|it| it.key.has_client())
    }
}

/// The zones of a configuration, in order.
#[derive(Debug, Default)]
pub(super) struct Zones {
    pub(super) all: Vec<Zone>,
    /// What is none: the place, and why.
    pub(super) broken: Vec<(Span, String)>,
    /// Positions by name, context by context.
    by_name: Vec<HashMap<String, usize>>,
}

impl Zones {
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let mut zones = Self::default();
        for context in &scene.contexts {
            zones.read(context);
        }
        zones.rename();
        zones
    }

    fn read(&mut self, context: &Context<'_>) {
        let mut tables = Tables::new(context);
        let mut names = HashMap::new();
        for directive in &context.zones {
            let place = &directive.name.span;
            let zone = match Definition::read(directive) {
                Ok(zone) if names.contains_key(zone.name) => {
                    Err(format!("zone \"{}\" is defined before", shown(zone.name)))
                }
                Ok(_) if self.all.len() == MAX_READ => Err("there are too many zones".to_owned()),
                other => other,
            };
            let zone = match zone {
                Ok(zone) => zone,
                Err(reason) => {
                    self.broken.push((place.clone(), reason));
                    continue;
                }
            };
            names.insert(zone.name.to_owned(), self.all.len());
            self.all.push(Zone {
                place: place.clone(),
                kind: context.kind,
                name: zone.name.to_owned(),
                new_name: zone.name.to_owned(),
                typed: zone.key.to_owned(),
                bytes: zone.bytes.min(MAX_ZONE_BYTES),
                was_larger: zone.bytes > MAX_ZONE_BYTES,
                key: self.key(zone.key, context.kind, &mut tables),
            });
        }
        self.by_name.push(names);
    }

    fn key(&self, word: &str, kind: Kind, tables: &mut Tables<'_, '_>) -> Result<Translated, Lost> {
        let good = self.all.iter().filter(|zone| zone.key.is_ok()).count();
        if good == MAX_ZONES as usize {
            return Err(Lost::new(format!("limiter has room for {MAX_ZONES} zones")));
        }
        key::translate(word, kind, tables).map_err(|lost| Lost {
            reason: format!("its key {}", lost.reason),
            ..lost
        })
    }

    /// Gives zones of one name in two contexts names of their own.
    fn rename(&mut self) {
        let mut taken: HashSet<String> = HashSet::new();
        let names: HashSet<String> = self.all.iter().map(|zone| zone.name.clone()).collect();
        for zone in &mut self.all {
            if taken.insert(zone.name.clone()) {
                continue;
            }
            let kind = zone.kind.name();
            let first = format!("{}-{kind}", zone.name);
            let more = (2_u32..).map(|number| format!("{}-{kind}-{number}", zone.name));
            let mut free = std::iter::once(first)
                .chain(more)
                .filter(|name| !names.contains(name) && !taken.contains(name));
            zone.new_name = free.next().unwrap_or_default();
            taken.insert(zone.new_name.clone());
            if !is_name(&zone.new_name) {
                zone.key = Err(Lost::new("its name is too long"));
            }
        }
    }

    /// The zone that a `limit_conn` of this context names.
    pub(super) fn find(&self, context: usize, name: &str) -> Option<usize> {
        self.by_name.get(context)?.get(name).copied()
    }
}

/// A definition as typed.
struct Definition<'a> {
    key: &'a str,
    name: &'a str,
    bytes: u64,
}

impl<'a> Definition<'a> {
    fn read(directive: &'a Directive) -> Result<Self, String> {
        let words: Vec<&str> = directive
            .arguments
            .iter()
            .map(|word| word.value.as_str())
            .collect();
        let (key, name, bytes) = match (directive.name.value.as_str(), words.as_slice()) {
            ("limit_zone", [name, key, bytes]) => (*key, *name, *bytes),
            ("limit_conn_zone", [key, parameters @ ..]) => {
                let mut zones = parameters.iter().filter_map(|it| it.strip_prefix("zone="));
                let zone = zones.next().ok_or("it has no \"zone=NAME:SIZE\"")?;
                let (name, bytes) = zone.split_once(':').ok_or("its zone has no size")?;
                (*key, name, bytes)
            }
            _ => return Err("it has too few or too many words".to_owned()),
        };
        if !is_name(name) {
            return Err(format!("\"{}\" is no name for a zone", shown(name)));
        }
        let bytes = size(bytes).ok_or_else(|| format!("\"{}\" is no size", shown(bytes)))?;
        if bytes < MIN_ZONE_BYTES {
            return Err(format!(
                "zone \"{}\" is too small, {}k at the least",
                shown(name),
                MIN_ZONE_BYTES >> 10
            ));
        }
        Ok(Self { key, name, bytes })
    }
}
