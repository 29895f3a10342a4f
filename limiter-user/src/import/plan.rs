//! From the servers of nginx that share sockets to one server of limiter.
//!
//! A limit holds for all connections to a socket, or not at all. So it stands where every server on
//! the socket has it, with the largest of their numbers; otherwise it is a comment.

use std::collections::HashMap;

use ipnet::IpNet;
use limiter_common::{key::KeyFields, policy::MAX_LIMITS};

use super::{
    host::{Host, limit_conn},
    note::{Note, Places},
    sockets::Group,
    zone::Zones,
};
use crate::{
    config::grammar::{Directive, Span},
    policy::Listen,
    render::on_off,
};

/// Servers that a note names.
const MAX_NAMED: usize = 4;

/// A server of limiter.
#[derive(Debug)]
pub(super) struct Plan {
    /// Positions of nginx's servers.
    pub(super) servers: Vec<usize>,
    pub(super) listens: Vec<(Listen, Span)>,
    /// About the server as a whole.
    pub(super) head: Vec<Note>,
    pub(super) limits: Vec<Held>,
    pub(super) exempt: Vec<IpNet>,
    /// Other directives, with their places.
    pub(super) settings: Vec<(String, Span)>,
    /// What does not hold.
    pub(super) notes: Vec<Note>,
}

/// A limit that holds.
#[derive(Debug)]
pub(super) struct Held {
    /// Position of the zone.
    pub(super) zone: usize,
    pub(super) number: u16,
    pub(super) place: Span,
    /// Why it is this number.
    pub(super) remark: Option<Note>,
    /// Networks that nginx does not count for this zone alone.
    pub(super) unlimited: Vec<IpNet>,
}

impl Held {
    /// `limit_conn ZONE NUMBER;`
    pub(super) fn line(&self, zones: &Zones) -> String {
        limit_conn(zones, self.zone, self.number)
    }
}

/// What plans are made with.
pub(super) struct Planner<'s, 't> {
    pub(super) hosts: &'s [Host<'t>],
    pub(super) zones: &'s Zones,
    pub(super) places: &'s Places,
}

impl Planner<'_, '_> {
    /// Makes a plan for servers that share sockets.
    pub(super) fn plan(&self, group: Group) -> Plan {
        let mut plan = Plan {
            head: self.head(&group.servers),
            settings: self.settings(&group.servers),
            servers: group.servers,
            listens: group.listens,
            limits: Vec::new(),
            exempt: Vec::new(),
            notes: Vec::new(),
        };
        let deciding = self.deciding(&plan.servers);
        for (zone, of_zone) in self.by_zone(&deciding) {
            match self.hold(zone, &of_zone, &deciding) {
                Ok(_) if plan.limits.len() == MAX_LIMITS => plan.notes.push(self.lost(
                    &of_zone[0],
                    format!("a server has {MAX_LIMITS} limits at the most."),
                )),
                Ok(held) => plan.limits.push(held),
                Err(note) => plan.notes.push(note),
            }
        }
        plan
    }

    /// The servers whose limits count: a server that only answers with `return` asks for no limit,
    /// so others are not bound by it.
    fn deciding(&self, servers: &[usize]) -> Vec<usize> {
        let all = servers.iter().copied();
        let some: Vec<usize> = all
            .clone()
            .filter(|server| !self.hosts[*server].server.returns)
            .collect();
        if some.is_empty() { all.collect() } else { some }
    }

    /// The limits of these servers, zone by zone, as the zones appear.
    fn by_zone(&self, servers: &[usize]) -> Vec<(usize, Vec<Wish>)> {
        let mut positions: HashMap<usize, usize> = HashMap::new();
        let mut zones: Vec<(usize, Vec<Wish>)> = Vec::new();
        for server in servers {
            let host = &self.hosts[*server];
            for limit in &host.limits.good {
                let raised = host
                    .raised
                    .get(&limit.zone)
                    .map_or(0, |(number, _)| *number);
                let position = *positions.entry(limit.zone).or_insert_with(|| {
                    zones.push((limit.zone, Vec::new()));
                    zones.len() - 1
                });
                zones[position].1.push(Wish {
                    server: *server,
                    zone: limit.zone,
                    typed: limit.number,
                    number: limit.number.max(raised),
                    place: limit.place.clone(),
                });
            }
        }
        zones
    }

    /// The number for all of them, or why there is none. There is at least one wish.
    fn hold(&self, zone: usize, wishes: &[Wish], servers: &[usize]) -> Result<Held, Note> {
        let first = &wishes[0];
        let key = match &self.zones.all[zone].key {
            Ok(key) => key,
            Err(_) => {
                let reason = "its zone stands as a comment, too.";
                return Err(self.lost(first, reason.to_owned()));
            }
        };
        let mut told = wishes.iter().filter(|_| key.follows_real_ip);
        if let Some(trusted) = told.find_map(|wish| self.hosts[wish.server].real_ip) {
            return Err(self.lost(first, self.behind_a_proxy(trusted)));
        }
        if wishes.len() < servers.len() {
            return Err(self.lost(first, self.not_all(wishes, servers)));
        }
        let by_server = key.key.fields.contains(KeyFields::SERVER_NAME);
        let numbers = wishes.iter().map(|wish| u32::from(wish.number));
        // Keys with the name of the server were counted for each of them.
        let number = if by_server {
            numbers.sum()
        } else {
            numbers.max().unwrap_or_default()
        };
        let Ok(number) = u16::try_from(number) else {
            let reason = format!("together the servers may have {number}, and 65535 is the most.");
            return Err(self.lost(first, reason));
        };
        Ok(Held {
            zone,
            number,
            place: first.place.clone(),
            remark: self.remark(number, wishes, by_server),
            unlimited: Vec::new(),
        })
    }

    /// A limit that does not hold.
    fn lost(&self, wish: &Wish, reason: String) -> Note {
        let line = limit_conn(self.zones, wish.zone, wish.number);
        let typed = limit_conn(self.zones, wish.zone, wish.typed);
        let place = self.places.of(&wish.place);
        let typed = typed.trim_end_matches(';');
        Note::new(format!("{place}: \"{typed}\": {reason}")).instead(line)
    }

    fn behind_a_proxy(&self, trusted: &Directive) -> String {
        format!(
            "with {} nginx counts by the address that a proxy tells it. The kernel sees the proxy, \
             and would count it as one client. Limit at the proxy, or by $server_name. If clients \
             also come without it:",
            self.places.quote(trusted)
        )
    }

    fn not_all(&self, wishes: &[Wish], servers: &[usize]) -> String {
        // Wishes are in the order of the servers.
        let mut others = servers.iter().enumerate();
        let other = others.find(|(index, server)| {
            wishes
                .get(*index)
                .is_none_or(|wish| wish.server != **server)
        });
        let other = other.map(|(_, other)| self.hosts[*other].title(self.places));
        format!(
            "{} on the same port has no such limit, and the kernel does not know which server a \
             connection is for. If it may hold for all of them:",
            other.unwrap_or_default()
        )
    }

    /// Why the number is none that somebody wrote, or not the only one.
    fn remark(&self, number: u16, wishes: &[Wish], by_server: bool) -> Option<Note> {
        let raised = wishes.iter().find_map(|wish| {
            let (_, location) = self.hosts[wish.server].raised.get(&wish.zone)?;
            (wish.number > wish.typed).then_some((wish, *location))
        });
        let together = wishes.len() > 1 && by_server;
        let differ = wishes.iter().any(|wish| wish.typed != wishes[0].typed);
        let mut text = match (together, differ) {
            (true, _) => format!(
                "{number} together: each of the {} servers had a count of its own.",
                wishes.len()
            ),
            (false, true) => {
                let some = wishes.iter().take(MAX_NAMED).map(|wish| {
                    let place = self.places.of(&wish.place);
                    format!("{} ({place})", wish.typed)
                });
                let more = if wishes.len() > MAX_NAMED {
                    ", …"
                } else {
                    ""
                };
                let some = some.collect::<Vec<_>>().join(", ");
                format!("The largest number of these servers: {some}{more}.")
            }
            (false, false) => String::new(),
        };
        if let Some((wish, location)) = raised {
            text.push_str(&format!(
                " {} allows {}, the server itself {}: the kernel cannot tell which it is.",
                self.places.quote(location),
                wish.number,
                wish.typed
            ));
        }
        let text = text.trim_start();
        (!text.is_empty()).then(|| Note::new(text))
    }

    /// That there are several servers, if there are.
    fn head(&self, servers: &[usize]) -> Vec<Note> {
        if servers.len() < 2 {
            return Vec::new();
        }
        let some = servers.iter().take(MAX_NAMED);
        let some: Vec<_> = some
            .map(|server| self.hosts[*server].title(self.places))
            .collect();
        let more = servers.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        vec![Note::new(format!(
            "{}{more} share these ports. The kernel does not see the name in a request, so they are \
             one server.",
            some.join(", ")
        ))]
    }

    /// `limit_conn_dry_run` and `limit_conn_log_level`.
    fn settings(&self, servers: &[usize]) -> Vec<(String, Span)> {
        let deciding = self.deciding(servers);
        let hosts = || deciding.iter().map(|server| &self.hosts[*server]);
        let mut settings = Vec::new();
        // Where one of them refuses nobody, nobody is refused.
        let dry_runs = || hosts().filter_map(|host| host.dry_run.as_ref());
        let on = || dry_runs().find(|(on, _)| *on);
        if let Some((on, place)) = on().or_else(|| dry_runs().next()) {
            let line = format!("limit_conn_dry_run {};", on_off(*on));
            settings.push((line, place.clone()));
        }
        if let Some((level, place)) = hosts().find_map(|host| host.log_level.as_ref()) {
            settings.push((format!("limit_conn_log_level {level};"), place.clone()));
        }
        settings
    }
}

/// What one server of nginx has for one zone.
struct Wish {
    /// Position of the server.
    server: usize,
    zone: usize,
    /// As the server has it.
    typed: u16,
    /// As its most generous location has it.
    number: u16,
    place: Span,
}
