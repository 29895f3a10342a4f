//! `geo` and `map`: variables whose value follows from the client address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
};

use ipnet::{IpNet, Ipv4Subnets};

use super::{
    addresses::ByAddress,
    scene::Context,
    variable::{self, Lost, Nearest},
};
use crate::{
    config::grammar::{Directive, Fragment, Word, fragments, shown},
    network::{self, NetworkError},
};

/// One may look at the other, but not deeper than this.
const MAX_DEPTH: usize = 8;

/// The value of a variable for every client address, as written: there may be variables in it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) values: ByAddress,
    /// The real_ip module changes what is looked up.
    pub(super) follows_real_ip: bool,
}

/// The `geo` and `map` variables of a context, worked out when asked for.
#[derive(Debug)]
pub(super) struct Tables<'s, 't> {
    context: &'s Context<'t>,
    known: HashMap<&'t str, Result<Rc<Table>, Lost>>,
}

impl<'s, 't> Tables<'s, 't> {
    pub(super) fn new(context: &'s Context<'t>) -> Self {
        Self {
            context,
            known: HashMap::new(),
        }
    }

    /// Whether a `geo` or `map` sets the variable.
    pub(super) fn has(&self, name: &str) -> bool {
        self.context.tables.contains_key(name)
    }

    pub(super) fn get(&mut self, name: &str) -> Result<Rc<Table>, Lost> {
        self.look(name, 0)
    }

    fn look(&mut self, name: &str, depth: usize) -> Result<Rc<Table>, Lost> {
        let Some((&name, &directive)) = self.context.tables.get_key_value(name) else {
            return Err(variable::lost(name));
        };
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        if depth == MAX_DEPTH {
            return Err(Lost::new(format!(
                "has \"${}\", behind which stand too many maps",
                shown(name)
            )));
        }
        let table = if directive.name.value == "geo" {
            geo(directive)
        } else {
            self.map(directive, depth)
        };
        let table = table.map(Rc::new);
        self.known.insert(name, table.clone());
        table
    }

    /// `map SOURCE $VARIABLE { … }`
    fn map(&mut self, directive: &Directive, depth: usize) -> Result<Table, Lost> {
        let choices = Choices::read(directive)?;
        let source = directive.arguments.first().map(|word| word.value.as_str());
        match single_variable(source.unwrap_or_default()) {
            Some(name @ ("remote_addr" | "realip_remote_addr")) => Ok(Table {
                values: choices.of_addresses()?,
                follows_real_ip: variable::follows_real_ip(name),
            }),
            Some(name) => {
                let source = self.look(name, depth + 1)?;
                Ok(Table {
                    values: choices.of_values(&source.values)?,
                    follows_real_ip: source.follows_real_ip,
                })
            }
            None => Err(Lost::new(format!(
                "has \"map {}\", which looks at several things at once",
                shown(source.unwrap_or_default())
            ))),
        }
    }
}

/// The variable, if there is nothing but one.
fn single_variable(word: &str) -> Option<&str> {
    match fragments(word).as_slice() {
        [(Fragment::Variable { name, closed: true }, _)] => Some(name),
        _ => None,
    }
}

/// The lines of a `map`.
struct Choices {
    default: Rc<str>,
    /// By the text that is looked for, in lower case.
    exact: HashMap<String, Rc<str>>,
    has_patterns: bool,
}

impl Choices {
    fn read(directive: &Directive) -> Result<Self, Lost> {
        let mut choices = Self {
            default: Rc::from(""),
            exact: HashMap::new(),
            has_patterns: false,
        };
        for line in lines(directive) {
            let key = line.name.value.as_str();
            let value = match (key, line.arguments.as_slice()) {
                ("hostnames", []) => {
                    choices.has_patterns = true;
                    continue;
                }
                ("volatile" | "...", []) => continue,
                (_, [value]) => Rc::from(value.value.as_str()),
                _ => return Err(unreadable("map", line)),
            };
            if key == "default" {
                choices.default = value;
            } else if key.starts_with('~') {
                choices.has_patterns = true;
            } else {
                let key = key.strip_prefix('\\').unwrap_or(key);
                choices.exact.insert(key.to_lowercase(), value);
            }
        }
        Ok(choices)
    }

    fn of_addresses(&self) -> Result<ByAddress, Lost> {
        if self.has_patterns {
            return Err(with_patterns());
        }
        // nginx compares texts: whatever is no address is equal to none.
        let networks: Vec<(IpNet, Rc<str>)> = self
            .exact
            .iter()
            .filter(|(key, _)| key.parse::<IpAddr>().is_ok())
            .filter_map(|(key, value)| Some((network::parse(key).ok()?, Rc::clone(value))))
            .collect();
        Ok(ByAddress::new(&self.default, &networks))
    }

    fn of_values(&self, source: &ByAddress) -> Result<ByAddress, Lost> {
        for value in source.values() {
            if value.contains('$') {
                return Err(Lost::new(format!(
                    "has a map of \"{}\", which is another one for each connection",
                    shown(value)
                )));
            }
            if self.has_patterns && !self.exact.contains_key(&value.to_lowercase()) {
                return Err(with_patterns());
            }
        }
        let choose = |value: &Rc<str>| {
            let choice = self.exact.get(&value.to_lowercase());
            Rc::clone(choice.unwrap_or(&self.default))
        };
        Ok(source.map(choose))
    }
}

fn with_patterns() -> Lost {
    Lost::new("has a map with patterns, and the kernel compares addresses")
        .nearest(Nearest::Advice("limit_conn_exempt names the networks"))
}

/// `geo [$ADDRESS] $VARIABLE { … }`
fn geo(directive: &Directive) -> Result<Table, Lost> {
    let address = match directive.arguments.as_slice() {
        [address, _] => address.value.strip_prefix('$').unwrap_or_default(),
        _ => "remote_addr",
    };
    if !matches!(address, "remote_addr" | "realip_remote_addr") {
        return Err(variable::lost(address));
    }
    let mut default: Rc<str> = Rc::from("");
    let mut entries = Entries::default();
    for line in lines(directive) {
        let (key, value) = match (line.name.value.as_str(), line.arguments.as_slice()) {
            ("ranges", []) => {
                entries.are_ranges = true;
                continue;
            }
            ("proxy_recursive" | "volatile" | "...", []) => continue,
            ("default", [value]) => {
                default = Rc::from(value.value.as_str());
                continue;
            }
            ("proxy", _) => {
                return Err(Lost::new(
                    "has a geo with \"proxy\", which reads the address from a request",
                )
                .nearest(variable::CLIENT));
            }
            ("delete", [key]) => (key, None),
            (_, [value]) => (&line.name, Some(Rc::from(value.value.as_str()))),
            _ => return Err(unreadable("geo", line)),
        };
        entries
            .set(key, value)
            .ok_or_else(|| unreadable("geo", line))?;
    }
    Ok(Table {
        values: ByAddress::new(&default, &entries.networks()),
        follows_real_ip: variable::follows_real_ip(address),
    })
}

/// The networks or ranges of a `geo`.
#[derive(Default)]
struct Entries {
    are_ranges: bool,
    networks: HashMap<IpNet, Rc<str>>,
    ranges: HashMap<(Ipv4Addr, Ipv4Addr), Rc<str>>,
}

impl Entries {
    /// Sets the value of a network or range, or removes it. `None`: the word is neither.
    fn set(&mut self, word: &Word, value: Option<Rc<str>>) -> Option<()> {
        if self.are_ranges {
            let (first, last) = word.value.split_once('-')?;
            let range: (Ipv4Addr, Ipv4Addr) = (first.parse().ok()?, last.parse().ok()?);
            if range.0 > range.1 {
                return None;
            }
            match value {
                Some(value) => self.ranges.insert(range, value),
                None => self.ranges.remove(&range),
            };
            return Some(());
        }
        let network = match network::parse(&word.value) {
            Ok(network) => network,
            // nginx warns, and takes the network.
            Err(NetworkError::HostBits { meant }) => meant,
            Err(NetworkError::Malformed) => return None,
        };
        match value {
            Some(value) => self.networks.insert(network, value),
            None => self.networks.remove(&network),
        };
        Some(())
    }

    fn networks(self) -> Vec<(IpNet, Rc<str>)> {
        let mut ranges: Vec<_> = self.ranges.into_iter().collect();
        // A range within another one wins: it comes later. So it does as networks, where two are
        // equal.
        ranges.sort_by_key(|((first, last), _)| {
            std::cmp::Reverse(last.to_bits().abs_diff(first.to_bits()))
        });
        let ranges = ranges.into_iter().flat_map(|((first, last), value)| {
            let networks = Ipv4Subnets::new(first, last, 0).map(IpNet::V4);
            networks.map(move |network| (network, Rc::clone(&value)))
        });
        self.networks.into_iter().chain(ranges).collect()
    }
}

fn lines(directive: &Directive) -> impl Iterator<Item = &Directive> {
    let block = directive.block.iter();
    block.flat_map(|block| &block.directives)
}

fn unreadable(what: &str, line: &Directive) -> Lost {
    Lost::new(format!(
        "has a {what} with \"{}\", which nginx would not take either",
        shown(&line.name.value)
    ))
}
