//! `limit_conn_exempt CIDR …` and `limit_conn_override ZONE CIDR NUMBER`

use std::collections::{HashMap, hash_map::Entry};

use ipnet::IpNet;
use limiter_common::policy::MAX_NETWORKS;

use super::{
    build::misread,
    error::{ConfigError, shown},
    expand::Item,
    source::Span,
    syntax::Word,
    word,
};

/// The `limit_conn_exempt` directives of one context.
#[derive(Debug, Default)]
pub(super) struct Exempt {
    networks: Places<IpNet>,
}

impl Exempt {
    pub(super) fn take(&mut self, item: &Item) -> Result<(), ConfigError> {
        for word in &item.arguments {
            if word::is_off(&word.value) {
                self.networks.set_off(item, word)?;
                continue;
            }
            let network = network(word)?;
            if let Some(first) = self.networks.add(network, item, word)? {
                let message = format!("network \"{network}\" is already exempt");
                return Err(ConfigError::at(&word.span, message)
                    .expected("given for the second time")
                    .related(&first, "given here before"));
            }
        }
        Ok(())
    }

    /// Whether nothing is inherited: there is a network, or `off`.
    pub(super) fn is_written(&self) -> bool {
        self.networks.is_written()
    }

    /// The networks in their order, each with its place.
    pub(super) fn networks(&self) -> &[(IpNet, Span)] {
        &self.networks.list
    }

    /// Of `off`.
    pub(super) fn off(&self) -> Option<&Span> {
        self.networks.off.as_ref()
    }
}

/// The `limit_conn_override` directives of one context.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    places: Places<(String, IpNet)>,
    overrides: Vec<NamedOverride>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct NamedOverride {
    pub(super) zone: Word,
    pub(super) network: IpNet,
    /// Of the network.
    pub(super) place: Span,
    pub(super) number: u16,
}

impl Overrides {
    pub(super) fn take(&mut self, item: &Item) -> Result<(), ConfigError> {
        let [zone, word, number] = match item.arguments.as_slice() {
            [off] => return self.places.set_off(item, off),
            [zone, word, number] => [zone, word, number],
            _ => return Ok(()),
        };
        let network = network(word)?;
        let number = word::connections(&number.value).map_err(|error| misread(number, error))?;
        let named = (zone.value.clone(), network);
        if let Some(first) = self.places.add(named, item, word)? {
            let message = format!(
                "network \"{network}\" has an override of zone \"{}\" already",
                shown(&zone.value)
            );
            return Err(ConfigError::at(&word.span, message)
                .expected("given for the second time")
                .related(&first, "given here before"));
        }
        self.overrides.push(NamedOverride {
            zone: zone.clone(),
            network,
            place: word.span.clone(),
            number,
        });
        Ok(())
    }

    /// Whether nothing is inherited: there is one, or `off`.
    pub(super) fn is_written(&self) -> bool {
        self.places.is_written()
    }

    /// Of `off`.
    pub(super) fn off(&self) -> Option<&Span> {
        self.places.off.as_ref()
    }

    /// In their order.
    pub(super) fn all(&self) -> &[NamedOverride] {
        &self.overrides
    }
}

fn network(word: &Word) -> Result<IpNet, ConfigError> {
    word::network(&word.value).map_err(|error| misread(word, error))
}

/// Things that may not stand twice in one context; or `off`, alone.
#[derive(Debug)]
struct Places<T> {
    list: Vec<(T, Span)>,
    positions: HashMap<T, usize>,
    /// Of the word `off`.
    off: Option<Span>,
}

// Derived, it would ask for `T: Default`.
impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            positions: HashMap::new(),
            off: None,
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Places<T> {
    fn is_written(&self) -> bool {
        self.off.is_some() || !self.list.is_empty()
    }

    /// Takes `off`, if nothing else is there, not even another one.
    fn set_off(&mut self, item: &Item, word: &Word) -> Result<(), ConfigError> {
        let first = self.list.first().map(|(_, place)| place);
        if let Some(other) = self.off.as_ref().or(first) {
            return Err(not_alone(item, word, other));
        }
        self.off = Some(word.span.clone());
        Ok(())
    }

    /// Adds one, or gives the place where it stands already.
    fn add(&mut self, thing: T, item: &Item, word: &Word) -> Result<Option<Span>, ConfigError> {
        if let Some(off) = &self.off {
            return Err(not_alone(item, word, off));
        }
        let vacant = match self.positions.entry(thing) {
            Entry::Occupied(first) => return Ok(Some(self.list[*first.get()].1.clone())),
            Entry::Vacant(vacant) => vacant,
        };
        if self.list.len() == MAX_NETWORKS {
            return Err(too_many(&word.span, "one network too many"));
        }
        let thing = vacant.key().clone();
        vacant.insert(self.list.len());
        self.list.push((thing, word.span.clone()));
        Ok(None)
    }
}

/// `off` and something else.
fn not_alone(item: &Item, word: &Word, other: &Span) -> ConfigError {
    let message = format!("\"{} off\" must stand alone", item.word.value);
    ConfigError::at(&word.span, message)
        .expected("either \"off\" or networks")
        .related(other, "given here before")
}

/// More networks than the kernel side has room for.
pub(super) fn too_many(place: &Span, label: &str) -> ConfigError {
    let message = format!("too many networks, {MAX_NETWORKS} at the most");
    ConfigError::at(place, message).expected(label).help(
        "\"limit_conn_exempt\" and \"limit_conn_override\" count together, \
         once for every server that has or inherits them",
    )
}
