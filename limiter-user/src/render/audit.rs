//! What an audit came to.

use super::table::{Side, Table};
use crate::api::AuditReport;

/// A line per zone, and what is to be said about them.
pub fn report(report: &AuditReport) -> String {
    let mut table = Table::new([
        ("ZONE", Side::Left),
        ("KEYS", Side::Right),
        ("CONNECTIONS", Side::Right),
        ("RECOUNT", Side::Right),
        ("SUSPECTED", Side::Right),
        ("CORRECTED", Side::Right),
    ]);
    for zone in &report.zones {
        table.row([
            zone.zone.clone(),
            zone.keys.to_string(),
            zone.connections.to_string(),
            zone.recount.to_string(),
            zone.suspected.to_string(),
            zone.corrected.to_string(),
        ]);
    }
    let mut text = table.render();
    text.push_str(&format!("\naudited in {} ms\n", report.duration_ms));
    let sum =
        |of: fn(&crate::api::ZoneAuditReport) -> u64| -> u64 { report.zones.iter().map(of).sum() };
    let notes = [
        (
            sum(|zone| zone.suspected),
            "slots differ for the first time: what still differs in the next pass is corrected then",
        ),
        (
            sum(|zone| zone.corrected),
            "slots differed twice, and were corrected",
        ),
        (
            sum(|zone| zone.keys_corrected),
            "keys were counted as in use, or not, and were corrected",
        ),
        (
            report.lost,
            "slots had lost their keys, and were counted again",
        ),
    ];
    for (slots, note) in notes {
        if slots > 0 {
            text.push_str(&format!("{slots} {note}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ZoneAuditReport;

    #[test]
    fn what_is_right_is_a_table_and_what_is_wrong_is_said() {
        let zone = ZoneAuditReport {
            zone: "addr".to_owned(),
            keys: 2,
            connections: 5,
            recount: 5,
            ..ZoneAuditReport::default()
        };
        let mut audit = AuditReport {
            duration_ms: 3,
            lost: 0,
            zones: vec![zone],
        };
        assert_eq!(
            report(&audit),
            "\
ZONE  KEYS  CONNECTIONS  RECOUNT  SUSPECTED  CORRECTED
addr     2            5        5          0          0

audited in 3 ms
"
        );
        audit.lost = 4;
        audit.zones[0].suspected = 1;
        audit.zones[0].corrected = 2;
        audit.zones[0].keys_corrected = 3;
        let text = report(&audit);
        for line in [
            "1 slots differ for the first time",
            "2 slots differed twice",
            "3 keys were counted",
            "4 slots had lost their keys",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
