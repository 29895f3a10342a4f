//! A `location`: what it has never holds, because a connection has none yet.

use super::{
    host::{Limits, limit_conn},
    note::{Note, Places, typed},
    plan::Held,
    scene::Location,
    write::of_status,
    zone::Zones,
};
use crate::config::grammar::shown;

/// Everything to say about a location, in a server that has these limits.
pub(super) fn notes(
    location: &Location<'_>,
    context: usize,
    held: &[Held],
    zones: &Zones,
    places: &Places,
) -> Vec<Note> {
    let level = &location.level;
    let limits = Limits::read(level, context, zones, places);
    let inside = typed(location.directive);
    let mut notes = Vec::new();
    for limit in &limits.good {
        let place = places.of(&limit.place);
        let line = limit_conn(zones, limit.zone, limit.number);
        let typed = line.trim_end_matches(';');
        let text =
            format!("{place}: \"{typed}\" in \"{inside}\": a connection has no location yet.");
        let mut others = held.iter();
        let other = others.find(|held| held.zone == limit.zone);
        notes.push(match other.map(|held| held.number) {
            None => Note::new(format!("{text} For all of the server:")).instead(line),
            Some(number) if number == limit.number => {
                Note::new(format!("{text} The server has the same number."))
            }
            Some(number) => Note::new(format!(
                "{text} The {number} of the server hold for it, too. For all of the server, in place \
                 of that:"
            ))
            .instead(line),
        });
    }
    notes.extend(replaced(location, &limits, held, zones, places));
    notes.extend(limits.bad);
    for directive in [level.dry_run, level.log_level].into_iter().flatten() {
        let quote = places.quote(directive);
        let text = format!("{quote} in \"{inside}\": a connection has no location yet.");
        notes.push(Note::new(text));
    }
    notes.extend(level.status.map(|status| of_status(status, places)));
    notes
}

/// Limits of the server that nginx does not apply there, because the location has some of its own.
fn replaced(
    location: &Location<'_>,
    limits: &Limits,
    held: &[Held],
    zones: &Zones,
    places: &Places,
) -> Option<Note> {
    if limits.good.is_empty() {
        return None;
    }
    let lost = held.iter().filter(|held| {
        let mut own = limits.good.iter();
        !own.any(|limit| limit.zone == held.zone)
    });
    let lost: Vec<String> = lost
        .map(|held| format!("\"{}\"", shown(&zones.all[held.zone].new_name)))
        .collect();
    (!lost.is_empty()).then(|| {
        Note::new(format!(
            "{} has limits of its own, so nginx does not apply those of {} there. Here the server's \
             hold for it, too.",
            places.quote(location.directive),
            lost.join(", ")
        ))
    })
}
