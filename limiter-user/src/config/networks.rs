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
    /// Of the word `off`.
    off: Option<Span>,
}

impl Exempt {
    pub(super) fn take(&mut self, item: &Item) -> Result<(), ConfigError> {
        for word in &item.arguments {
            let is_off = word.value.eq_ignore_ascii_case("off");
            if let Some(other) = self.contradiction(is_off) {
                let message = "\"limit_conn_exempt off\" must stand alone";
                return Err(ConfigError::at(&word.span, message)
                    .expected("either \"off\" or networks")
                    .related(other, "given here before"));
            }
            if is_off {
                self.off = Some(word.span.clone());
                continue;
            }
            let network = network(word)?;
            if let Some(first) = self.networks.add(network, word)? {
                let message = format!("network \"{network}\" is already exempt");
                return Err(ConfigError::at(&word.span, message)
                    .expected("given for the second time")
                    .related(&first, "given here before"));
            }
        }
        Ok(())
    }

    /// What does not go with `off`, or with a network.
    fn contradiction(&self, is_off: bool) -> Option<&Span> {
        let network = self.networks.list.first().map(|(_, place)| place);
        self.off.as_ref().or(network.filter(|_| is_off))
    }

    /// Whether nothing is inherited: there is a network, or `off`.
    pub(super) fn is_written(&self) -> bool {
        self.off.is_some() || !self.networks.list.is_empty()
    }

    /// The networks in their order, each with its place.
    pub(super) fn networks(&self) -> &[(IpNet, Span)] {
        &self.networks.list
    }

    /// Of `off`.
    pub(super) fn off(&self) -> Option<&Span> {
        self.off.as_ref()
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
        let [zone, word, number] = item.arguments.as_slice() else {
            return Ok(());
        };
        let network = network(word)?;
        let number = word::connections(&number.value).map_err(|error| misread(number, error))?;
        if let Some(first) = self.places.add((zone.value.clone(), network), word)? {
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

    /// Whether nothing is inherited.
    pub(super) fn is_written(&self) -> bool {
        !self.overrides.is_empty()
    }

    /// In their order.
    pub(super) fn all(&self) -> &[NamedOverride] {
        &self.overrides
    }
}

fn network(word: &Word) -> Result<IpNet, ConfigError> {
    word::network(&word.value).map_err(|error| misread(word, error))
}

/// Things that may not stand twice in one context.
#[derive(Debug)]
struct Places<T> {
    list: Vec<(T, Span)>,
    positions: HashMap<T, usize>,
}

// Derived, it would ask for `T: Default`.
impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            positions: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Places<T> {
    /// Adds one, or gives the place where it stands already.
    fn add(&mut self, thing: T, word: &Word) -> Result<Option<Span>, ConfigError> {
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

/// More networks than the kernel side has room for.
pub(super) fn too_many(place: &Span, label: &str) -> ConfigError {
    let message = format!("too many networks, {MAX_NETWORKS} at the most");
    ConfigError::at(place, message).expected(label).help(
        "\"limit_conn_exempt\" and \"limit_conn_override\" count together, \
         once for every server that has or inherits them",
    )
}
