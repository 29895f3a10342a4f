//! Did you mean …?

/// Longer words are not compared: no name comes near them.
const MAX_CHARS: usize = 40;

/// The candidate that `typed` is closest to, if it is close: at most a third of its characters
/// differ.
pub(super) fn closest<'a>(
    typed: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let typed: Vec<char> = typed.chars().take(MAX_CHARS + 1).collect();
    if typed.len() > MAX_CHARS {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(&typed, candidate), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits from one word to the other (Levenshtein).
fn distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (above, to) in to.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (index, from) in from.iter().enumerate() {
            let substituted = diagonal + usize::from(*from != to);
            diagonal = row[index + 1];
            row[index + 1] = substituted.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[from.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let names = ["limit_conn", "limit_conn_zone", "listen", "server"];
        assert_eq!(closest("limit_con", names), Some("limit_conn"));
        assert_eq!(closest("limit-conn-zone", names), Some("limit_conn_zone"));
        assert_eq!(closest("lisen", names), Some("listen"));
        assert_eq!(closest("servers", names), Some("server"));
        assert_eq!(closest("worker", names), None);
        assert_eq!(closest("", names), None);
    }
}
