//! A policy takes the place of another: `limiter reload` and SIGHUP.

mod back;
mod coverage;
mod over_and_over;
mod sizes;
mod traffic;
mod wrong;

use limiter::api::{Reloaded, ZoneChange};

/// What became of a zone.
#[track_caller]
fn change(reloaded: &Reloaded, zone: &str) -> ZoneChange {
    let mut zones = reloaded.zones.iter();
    let found = zones.find(|it| it.zone == zone);
    found
        .unwrap_or_else(|| panic!("{zone} in {reloaded:?}"))
        .change
}
