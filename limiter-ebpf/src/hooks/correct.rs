//! Corrects a count, when the daemon runs this program by `BPF_PROG_TEST_RUN`: user space cannot change
//! a word of a map while programs do. It is an XDP program because every kernel can run those, and sees
//! no packet.

use limiter_common::{
    admission::{self, Zone as _},
    audit::{CONNECTIONS, ENTRIES, LIVE, SLOTS},
};

use crate::maps::{audit, counters, zones::zone_at};

/// By how much the count was too high, as it was corrected.
#[inline(always)]
pub fn correct() -> i32 {
    let Some(asked) = audit::correction() else {
        return 0;
    };
    let Some(zone) = zone_at(asked.zone) else {
        return 0;
    };
    match asked.count {
        CONNECTIONS => {
            let by = admission::correct(zone, &asked.key, asked.generation, asked.difference);
            if let Some(counters) = counters::of_zone(asked.zone as u16) {
                counters.drifted(by.unsigned_abs());
            }
            by
        }
        SLOTS => {
            let Some(counters) = counters::of_zone(asked.zone as u16) else {
                return 0;
            };
            counters.correct_slots(asked.difference);
            asked.difference
        }
        LIVE => admission::correct_count(zone.live(), asked.difference),
        ENTRIES => admission::correct_count(zone.entries(), asked.difference),
        _ => 0,
    }
}
