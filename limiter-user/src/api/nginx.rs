//! The shapes of nginx's API
//! (<https://nginx.org/en/docs/http/ngx_http_api_module.html>, "Stream Connections Limiting").

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;

use super::ZoneStatus;

/// A zone of `limit_conn`, or some of its fields: nginx's come first, then those that are limiter's.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitConnZone(Vec<(&'static str, Value)>);

impl LimitConnZone {
    /// `fields`: only these, whatever else there is.
    pub fn new(zone: &ZoneStatus, fields: Option<&[String]>) -> Self {
        let all: [(&str, Value); 17] = [
            ("passed", zone.passed.into()),
            ("skipped", zone.skipped.into()),
            ("rejected", zone.rejected.into()),
            ("exhausted", zone.exhausted.into()),
            ("rejected_dry_run", zone.rejected_dry_run.into()),
            ("exhausted_dry_run", zone.exhausted_dry_run.into()),
            ("key", zone.key.as_str().into()),
            ("on_full", zone.on_full.as_str().into()),
            ("capacity", zone.capacity.into()),
            ("keys", zone.keys.into()),
            ("connections", zone.connections.into()),
            ("syn_retransmits", zone.syn_retransmits.into()),
            ("excess", zone.excess.into()),
            ("untracked", zone.untracked.into()),
            ("evicted", zone.evicted.into()),
            ("drift", zone.drift.into()),
            ("memory_bytes", zone.memory_bytes.into()),
        ];
        let is_wanted = |name: &str| fields.is_none_or(|it| it.iter().any(|one| one == name));
        let wanted = all.into_iter().filter(|(name, _)| is_wanted(name));
        Self(wanted.collect())
    }
}

impl Serialize for LimitConnZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Zones by name, in the order of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitConnZones(Vec<(String, LimitConnZone)>);

impl LimitConnZones {
    /// As [`LimitConnZone::new`], of each.
    pub fn new(zones: &[ZoneStatus], fields: Option<&[String]>) -> Self {
        let zones = zones.iter();
        let zones = zones.map(|zone| (zone.zone.clone(), LimitConnZone::new(zone, fields)));
        Self(zones.collect())
    }
}

impl Serialize for LimitConnZones {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, zone) in &self.0 {
            map.serialize_entry(name, zone)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(zones: &[ZoneStatus], fields: Option<&[&str]>) -> String {
        let fields: Option<Vec<String>> =
            fields.map(|it| it.iter().map(ToString::to_string).collect());
        let zones = LimitConnZones::new(zones, fields.as_deref());
        serde_json::to_string(&zones).expect("JSON")
    }

    #[test]
    fn a_zone_begins_with_what_nginx_says_of_it() {
        let zone = ZoneStatus {
            zone: "addr".to_owned(),
            passed: 1,
            skipped: 2,
            rejected: 3,
            exhausted: 4,
            rejected_dry_run: 5,
            exhausted_dry_run: 6,
            connections: 7,
            ..ZoneStatus::default()
        };
        let zones = [zone];
        let all = text(&zones, None);
        let nginx = "{\"addr\":{\"passed\":1,\"skipped\":2,\"rejected\":3,\"exhausted\":4,\
                     \"rejected_dry_run\":5,\"exhausted_dry_run\":6,";
        assert!(all.starts_with(nginx), "{all}");
        assert!(all.contains("\"connections\":7"), "{all}");
        let some = text(&zones, Some(&["connections", "passed", "nothing"]));
        assert_eq!(some, "{\"addr\":{\"passed\":1,\"connections\":7}}");
        assert_eq!(text(&zones, Some(&[])), "{\"addr\":{}}");
        assert_eq!(text(&[], None), "{}");
    }
}
