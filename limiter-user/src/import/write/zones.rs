//! `limit_conn_zone`

use std::collections::HashSet;

use super::Writer;
use crate::{
    config::grammar::shown,
    import::{
        note::Note,
        plan::{Held, Plan},
        variable::Nearest,
        zone::Zone,
    },
    policy::{Listen, ListenAddr},
    render::words::{size, word},
};

impl Writer<'_, '_> {
    /// The zones; those that no limit uses as comments, because they would take memory.
    pub(super) fn zones(&mut self) {
        let used: HashSet<usize> = self.held().map(|(_, held)| held.zone).collect();
        let v6: HashSet<usize> = self
            .held()
            .filter(|(plan, _)| plan.listens.iter().any(|(it, _)| may_be_v6(*it)))
            .map(|(_, held)| held.zone)
            .filter(|zone| self.zones.all[*zone].has_client())
            .collect();
        self.page.blank();
        if !v6.is_empty() {
            self.page.prose(
                "",
                "v6_prefix=128 counts every IPv6 address as one client, as nginx does. One client \
                 mostly has a /64 of them: consider v6_prefix=64.",
            );
        }
        for (index, zone) in self.zones.all.iter().enumerate() {
            let place = self.places.of(&zone.place);
            let Ok(key) = &zone.key else {
                self.page.note("", &lost(zone, &place));
                continue;
            };
            let mut line = definition(&key.key.text, zone);
            if v6.contains(&index) {
                line.push_str(" v6_prefix=128");
            }
            line.push(';');
            for note in remarks(zone) {
                self.page.note("", &Note::new(format!("{place}: {note}")));
            }
            if used.contains(&index) {
                self.summary.zones += 1;
                self.page.line(line, Some(place));
            } else {
                let text = format!("{place}: no limit that holds uses this zone:");
                self.page.note("", &Note::new(text).instead(line));
            }
        }
        for (place, reason) in &self.zones.broken {
            let place = self.places.of(place);
            let text = format!("{place}: \"limit_conn_zone\": {reason}.");
            self.page.note("", &Note::new(text));
        }
    }

    fn held(&self) -> impl Iterator<Item = (&Plan, &Held)> {
        let active = self.fit.active.iter().map(|index| &self.plans[*index]);
        active.flat_map(|plan| plan.limits.iter().map(move |held| (plan, held)))
    }
}

fn may_be_v6(listen: Listen) -> bool {
    match listen.addr {
        ListenAddr::Any => true,
        ListenAddr::Ip(addr) => addr.is_ipv6(),
    }
}

fn definition(key: &str, zone: &Zone) -> String {
    let parameter = format!("zone={}:{}", zone.new_name, size(zone.bytes));
    format!("limit_conn_zone {} {}", word(key), word(&parameter))
}

/// A zone whose key limiter does not have.
fn lost(zone: &Zone, place: &str) -> Note {
    let typed = format!(
        "limit_conn_zone {} zone={}",
        shown(&zone.typed),
        shown(&zone.name)
    );
    let Err(lost) = &zone.key else {
        return Note::new(String::new());
    };
    let text = format!("{place}: \"{typed}\": {}.", lost.reason);
    match lost.nearest {
        Some(Nearest::Key(key, what)) => {
            Note::new(format!("{text} Nearest comes \"{key}\": {what}:"))
                .instead(definition(key, zone) + ";")
        }
        Some(Nearest::Advice(advice)) => Note::new(format!("{text} {advice}.")),
        None => Note::new(text),
    }
}

fn remarks(zone: &Zone) -> Vec<String> {
    let mut remarks = Vec::new();
    if zone.new_name != zone.name {
        remarks.push(format!(
            "zone \"{}\" of \"{}\" is called \"{}\" here, because there is another one of that name.",
            shown(&zone.name),
            zone.kind.name(),
            shown(&zone.new_name)
        ));
    }
    if zone.was_larger {
        remarks.push(format!(
            "zone \"{}\" has the largest size there is.",
            shown(&zone.name)
        ));
    }
    remarks
}
