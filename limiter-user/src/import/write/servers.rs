//! `server`

use std::collections::{HashMap, HashSet};

use ipnet::IpNet;

use super::{Writer, of_status};
use crate::{
    config::grammar::is_name,
    import::{
        host::{Limits, limit_conn},
        location,
        note::Note,
        plan::{Held, Plan},
        scene::{Context, Location},
    },
    policy::Listen,
    render::words::word,
};

const INSIDE: &str = "    ";
/// Characters of a line with several networks at the most, more or less.
const NETWORKS_WIDTH: usize = 80;

/// What becomes of a plan.
#[derive(Clone, Copy)]
enum Fate<'a> {
    /// It limits something.
    Active,
    /// It limits nothing, at these endpoints.
    Shield(&'a [Listen]),
    /// It is a comment.
    Comment,
    /// It is a comment for lack of room.
    LeftOut,
}

impl<'s> Writer<'s, '_> {
    /// Every server that limits something, or would if it could.
    pub(super) fn servers(&mut self) {
        let mut told: HashSet<usize> = HashSet::new();
        let mut names: HashSet<String> = HashSet::new();
        for (plan, fate) in self.plans.iter().zip(self.fates()) {
            let new = plan.servers.iter().copied();
            let new: Vec<usize> = new.filter(|server| told.insert(*server)).collect();
            let is_mute = plan.limits.is_empty() && plan.notes.is_empty();
            let is_mute = is_mute && !new.iter().any(|server| self.says_something(*server));
            if is_mute && matches!(fate, Fate::Comment) {
                continue;
            }
            self.page.blank();
            let begin = self.page.position();
            let name = self.name(plan, &mut names);
            self.server(plan, name, fate, &new);
            match fate {
                Fate::Active => {
                    self.summary.servers += 1;
                    self.summary.limits += plan.limits.len();
                }
                Fate::Shield(_) => {}
                Fate::Comment | Fate::LeftOut => self.page.comment_out(begin),
            }
        }
    }

    fn fates(&self) -> Vec<Fate<'s>> {
        let fit = self.fit;
        let shields: HashMap<usize, &[Listen]> = fit
            .shields
            .iter()
            .map(|(index, listens)| (*index, listens.as_slice()))
            .collect();
        let fate = |index: usize| {
            if fit.active.binary_search(&index).is_ok() {
                Fate::Active
            } else if let Some(listens) = shields.get(&index) {
                Fate::Shield(listens)
            } else if fit.left_out.binary_search(&index).is_ok() {
                Fate::LeftOut
            } else {
                Fate::Comment
            }
        };
        (0..self.plans.len()).map(fate).collect()
    }

    /// Writes a server. `new` are those of nginx's servers that no other has told of.
    fn server(&mut self, plan: &Plan, name: Option<String>, fate: Fate<'_>, new: &[usize]) {
        for note in &plan.head {
            self.page.note("", note);
        }
        match fate {
            Fate::Active | Fate::Comment => {}
            Fate::LeftOut => self.page.note(
                "",
                &Note::new("limiter has no room for so many servers or endpoints."),
            ),
            Fate::Shield(_) => self.page.prose(
                "",
                "This server limits nothing. It keeps connections to its addresses from the server \
                 of the same port.",
            ),
        }
        let first = plan.servers.first().map(|server| {
            let directive = self.hosts[*server].server.directive;
            self.places.of(&directive.name.span)
        });
        self.page.line("server {", first);
        if let Some(name) = name {
            self.inside(&format!("server_name {};", word(&name)), None);
        }
        for (listen, place) in &plan.listens {
            if !matches!(fate, Fate::Shield(listens) if !listens.contains(listen)) {
                let place = self.places.of(place);
                self.inside(&format!("listen {listen};"), Some(place));
            }
        }
        let unlimited = new.iter().flat_map(|server| &self.hosts[*server].unlimited);
        for note in unlimited {
            self.page.note(INSIDE, note);
        }
        if matches!(fate, Fate::Shield(_)) {
            for held in &plan.limits {
                let text = "limiter has no room for so many servers or endpoints:";
                let note = Note::new(text).instead(held.line(self.zones));
                self.page.note(INSIDE, &note);
            }
        } else {
            self.limits(plan);
        }
        for note in &plan.notes {
            self.page.note(INSIDE, note);
        }
        for server in new {
            self.host(plan, *server);
        }
        self.page.line("}", None);
    }

    fn inside(&mut self, line: &str, place: Option<String>) {
        self.page.line(format!("{INSIDE}{line}"), place);
    }

    fn limits(&mut self, plan: &Plan) {
        for held in &plan.limits {
            if let Some(remark) = &held.remark {
                self.page.note(INSIDE, remark);
            }
            let place = self.places.of(&held.place);
            self.inside(&held.line(self.zones), Some(place));
        }
        for held in plan.limits.iter().filter(|it| !it.unlimited.is_empty()) {
            let zone = word(&self.zones.all[held.zone].new_name).to_string();
            self.page.prose(
                INSIDE,
                &format!(
                    "nginx leaves these clients out of zone {zone} alone. limiter leaves clients out \
                     of all limits of a server, so they may have the most there is."
                ),
            );
            for network in &held.unlimited {
                let network = shortest(*network);
                let line = format!("limit_conn_override {zone} {network} {};", u16::MAX);
                self.inside(&line, None);
            }
        }
        let mut line = String::new();
        for network in &plan.exempt {
            if line.len() > NETWORKS_WIDTH {
                self.inside(&format!("limit_conn_exempt{line};"), None);
                line.clear();
            }
            line.push_str(&format!(" {}", shortest(*network)));
        }
        if !line.is_empty() {
            self.inside(&format!("limit_conn_exempt{line};"), None);
        }
        for (line, place) in &plan.settings {
            let place = self.places.of(place);
            self.inside(line, Some(place));
        }
    }

    /// What one server of nginx has that does not hold.
    fn host(&mut self, plan: &Plan, server: usize) {
        let host = &self.hosts[server];
        if host.has_own {
            for note in &host.limits.bad {
                self.page.note(INSIDE, note);
            }
        }
        for location in &host.server.locations {
            self.location(location, host.context, &plan.limits, INSIDE);
        }
        if let Some(status) = host.server.level.status {
            self.page.note(INSIDE, &of_status(status, self.places));
        }
    }

    /// Limits that nothing inherits: whoever included this has the servers.
    pub(super) fn without_servers(&mut self, index: usize, context: &Context<'_>, limits: &Limits) {
        if let Some(first) = limits.good.first() {
            let place = self.places.of(&first.place);
            let mut note = Note::new(format!(
                "{place}: these limits are for servers that were not read, and by themselves they \
                 would hold for every port of the host. In a server:"
            ));
            let mut lines = vec!["listen PORT;".to_owned()];
            let mut exempt: Vec<String> = Vec::new();
            for limit in &limits.good {
                let zone = &self.zones.all[limit.zone];
                lines.push(limit_conn(self.zones, limit.zone, limit.number));
                let networks = zone.key.iter().flat_map(|key| &key.exempt);
                exempt.extend(networks.map(|it| format!("limit_conn_exempt {};", shortest(*it))));
            }
            exempt.dedup();
            lines.append(&mut exempt);
            note = note.instead("server {");
            for line in lines {
                note = note.instead(format!("{INSIDE}{line}"));
            }
            self.page.note("", &note.instead("}"));
        }
        for location in &context.locations {
            self.location(location, index, &[], "");
        }
    }

    fn location(&mut self, location: &Location<'_>, context: usize, held: &[Held], indent: &str) {
        for note in location::notes(location, context, held, self.zones, self.places) {
            self.page.note(indent, &note);
        }
    }

    fn says_something(&self, server: usize) -> bool {
        let host = &self.hosts[server];
        !host.server.locations.is_empty() || host.has_own
    }

    /// The first name that is one, made unlike those of other servers.
    fn name(&self, plan: &Plan, names: &mut HashSet<String>) -> Option<String> {
        let hosts = plan.servers.iter().map(|server| &self.hosts[*server]);
        let mut all = hosts.flat_map(|host| &host.server.names);
        let name = all.find_map(|name| plain(&name.value))?;
        let port = plan.listens.first().map(|(listen, _)| listen.first_port);
        let with_port = port.map(|port| format!("{name}-{port}"));
        let more = (2_u32..).map(|number| format!("{name}-{number}"));
        let mut free = [name.to_owned()]
            .into_iter()
            .chain(with_port)
            .chain(more)
            .filter(|name| !names.contains(name));
        let name = free.next()?;
        names.insert(name.clone());
        Some(name)
    }
}

/// A network as a person writes it: an address alone has no prefix.
fn shortest(network: IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// A name of one host; of `*.example.com` it is `example.com`.
fn plain(name: &str) -> Option<&str> {
    const MOST: usize = 200;
    let name = name.trim_start_matches("*.").trim_start_matches('.');
    let is_plain = name.len() <= MOST
        && name != "_"
        && !name.starts_with(['~', '$'])
        && !name.contains('*')
        && is_name(name);
    is_plain.then_some(name)
}
