//! What differed in one pass, and in the next one again. Pure.

use std::collections::HashMap;

use limiter_common::{
    admission::Difference,
    audit::{CONNECTIONS, Correction},
    key::ZoneKeyWords,
};

/// What differed in the pass before.
#[derive(Debug, Default)]
pub(in crate::kernel) struct Suspects(HashMap<Suspect, Difference>);

/// A count: which one, of which zone, and in which life of which key.
type Suspect = (u32, u32, u32, ZoneKeyWords);

impl Suspects {
    /// Takes what differs in a zone, and says what is to be corrected of it: what has differed in the
    /// same direction in the pass before, by as much as it did both times. The rest is suspected.
    pub(super) fn confirm(&mut self, zone: u16, differences: &[Correction]) -> Vec<Correction> {
        let before: HashMap<_, _> = self
            .0
            .extract_if(|suspect, _| suspect.1 == u32::from(zone))
            .collect();
        let mut confirmed = Vec::new();
        for difference in differences {
            let suspect = suspect(difference);
            match before.get(&suspect).copied() {
                Some(earlier) if earlier.signum() == difference.difference.signum() => {
                    confirmed.push(Correction {
                        difference: smaller(earlier, difference.difference),
                        ..*difference
                    });
                }
                _ => {
                    self.0.insert(suspect, difference.difference);
                }
            }
        }
        confirmed
    }

    /// Slots by which counts of connections of a zone are suspected to differ.
    pub(super) fn slots_of(&self, zone: u16) -> u64 {
        let suspects = self.0.iter();
        let of_zone =
            suspects.filter(|((count, of, ..), _)| *count == CONNECTIONS && *of == u32::from(zone));
        of_zone.map(|(_, by)| u64::from(by.unsigned_abs())).sum()
    }

    /// Forgets zones that are no more.
    pub(super) fn keep_only(&mut self, zones: &[u16]) {
        self.0
            .retain(|suspect, _| zones.iter().any(|zone| u32::from(*zone) == suspect.1));
    }
}

fn suspect(difference: &Correction) -> Suspect {
    (
        difference.count,
        difference.zone,
        difference.generation,
        difference.key.into(),
    )
}

/// Of two differences in the same direction, the smaller one.
pub(super) fn smaller(one: Difference, other: Difference) -> Difference {
    if one.unsigned_abs() < other.unsigned_abs() {
        one
    } else {
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(zone: u32, generation: u32, difference: Difference) -> Correction {
        Correction {
            count: CONNECTIONS,
            zone,
            generation,
            difference,
            ..Correction::default()
        }
    }

    #[test]
    fn what_differs_twice_in_the_same_way_is_corrected_by_the_smaller_difference() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.confirm(1, &[differs(1, 7, 3)]), []);
        assert_eq!(suspects.slots_of(1), 3);
        assert_eq!(suspects.confirm(1, &[differs(1, 7, 5)]), [differs(1, 7, 3)]);
        assert_eq!(suspects.slots_of(1), 0);
        // It begins anew.
        assert_eq!(suspects.confirm(1, &[differs(1, 7, 2)]), []);
    }

    #[test]
    fn what_differs_otherwise_or_in_another_life_or_not_in_between_is_not() {
        let mut suspects = Suspects::default();
        suspects.confirm(1, &[differs(1, 7, 3)]);
        assert_eq!(suspects.confirm(1, &[differs(1, 7, -3)]), []);
        assert_eq!(suspects.confirm(1, &[differs(1, 8, -3)]), []);
        assert_eq!(suspects.confirm(1, &[]), []);
        assert_eq!(suspects.confirm(1, &[differs(1, 8, -3)]), []);
        assert_eq!(
            suspects.confirm(1, &[differs(1, 8, -2)]),
            [differs(1, 8, -2)]
        );
    }

    #[test]
    fn zones_do_not_disturb_one_another() {
        let mut suspects = Suspects::default();
        suspects.confirm(1, &[differs(1, 7, 1)]);
        suspects.confirm(2, &[differs(2, 7, 1)]);
        suspects.keep_only(&[2]);
        assert_eq!(suspects.confirm(1, &[differs(1, 7, 1)]), []);
        assert_eq!(suspects.confirm(2, &[differs(2, 7, 1)]), [differs(2, 7, 1)]);
    }
}
