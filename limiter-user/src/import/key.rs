//! KEY of `limit_conn_zone`: what of it the kernel can count by.

use std::{collections::HashMap, rc::Rc};

use ipnet::IpNet;
use limiter_common::policy::MAX_NETWORKS;

use super::{
    scene::Kind,
    table::Tables,
    variable::{self, Lost, Nearest},
};
use crate::{
    config::grammar::{self, Fragment, fragments},
    policy::Key,
};

/// Bytes of a key at the most. nginx counts none that is longer than 255 bytes when worked out.
const MAX_KEY_BYTES: usize = 1024;

/// A key for limiter.
#[derive(Clone, Debug)]
pub(super) struct Translated {
    pub(super) key: Key,
    /// Clients for which nginx's key is empty: they are not accounted.
    pub(super) exempt: Vec<IpNet>,
    /// The real_ip module changes the address that is in it.
    pub(super) follows_real_ip: bool,
}

/// Translates a key as typed.
pub(super) fn translate(
    word: &str,
    kind: Kind,
    tables: &mut Tables<'_, '_>,
) -> Result<Translated, Lost> {
    let parts: Vec<Fragment<'_>> = fragments(word).into_iter().map(|(it, _)| it).collect();
    let is_table =
        |part: &Fragment<'_>| matches!(part, Fragment::Variable { name, .. } if tables.has(name));
    let Some(at) = parts.iter().position(is_table) else {
        return of_constant(word, kind);
    };
    if parts[at + 1..].iter().any(is_table) {
        return Err(Lost::new("puts several maps together"));
    }
    let Fragment::Variable { name, .. } = parts[at] else {
        return of_constant(word, kind);
    };
    let ranges: Vec<_> = fragments(word)
        .into_iter()
        .map(|(_, range)| range)
        .collect();
    let (before, behind) = (&word[..ranges[at].start], &word[ranges[at].end..]);
    let table = tables.get(name)?;
    let mut follows_real_ip = table.follows_real_ip;
    // Each value is looked at once, however many networks have it.
    let mut keys: HashMap<Rc<str>, Rc<str>> = HashMap::new();
    for value in table.values.values() {
        if keys.contains_key(value) {
            continue;
        }
        let text = format!("{before}{value}{behind}");
        let (text, follows) = of_value(&text, kind)?;
        follows_real_ip |= follows;
        keys.insert(Rc::clone(value), Rc::from(text));
    }
    let mut distinct: Vec<&Rc<str>> = keys.values().filter(|key| !key.is_empty()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let text = match distinct.as_slice() {
        [] => return Err(empty()),
        [only] => only,
        _ => return Err(several(&distinct)),
    };
    let values = table.values.map(|value| Rc::clone(&keys[value]));
    let exempt = values.networks("");
    if exempt.len() > MAX_NETWORKS {
        return Err(Lost::new(format!(
            "is empty for {} networks, and limiter has room for {MAX_NETWORKS}",
            exempt.len()
        )));
    }
    Ok(Translated {
        key: read(text)?,
        exempt,
        follows_real_ip,
    })
}

/// A key without maps.
fn of_constant(word: &str, kind: Kind) -> Result<Translated, Lost> {
    let (text, follows_real_ip) = of_value(word, kind)?;
    if text.is_empty() {
        return Err(empty());
    }
    Ok(Translated {
        key: read(&text)?,
        exempt: Vec::new(),
        follows_real_ip,
    })
}

/// A key in limiter's variables, and whether the real_ip module changes it.
fn of_value(word: &str, kind: Kind) -> Result<(String, bool), Lost> {
    let mut text = String::new();
    let mut follows = false;
    for (part, range) in fragments(word) {
        let Fragment::Variable { name, .. } = part else {
            text.push_str(&word[range]);
            continue;
        };
        let ours = variable::native(kind, name).ok_or_else(|| variable::lost(name))?;
        // Brackets stay where they were: they keep the name from what follows.
        text.push_str(&word[range].replace(name, ours));
        follows |= variable::follows_real_ip(name);
    }
    Ok((text, follows))
}

fn read(text: &str) -> Result<Key, Lost> {
    if text.len() > MAX_KEY_BYTES {
        return Err(Lost::new(format!("is longer than {MAX_KEY_BYTES} bytes")));
    }
    grammar::key(text).map_err(|error| Lost::new(format!("cannot be read: {}", error.message)))
}

fn empty() -> Lost {
    Lost::new("is always empty, so nothing is counted")
}

fn several(distinct: &[&Rc<str>]) -> Lost {
    let shown: Vec<String> = distinct
        .iter()
        .take(3)
        .map(|key| format!("\"{}\"", grammar::shown(key)))
        .collect();
    Lost::new(format!(
        "is made differently for different clients ({}), and a zone has one key",
        shown.join(", ")
    ))
    .nearest(Nearest::Advice(
        "limit_conn_override gives the clients of a network another number",
    ))
}
