//! Times as nginx writes them: `500ms`, `2s`, `1m30s`; a number without a unit is seconds.

/// Units and their milliseconds, from large to small: the order they are written in
/// (`ngx_parse_time` in nginx's src/core/ngx_parse.c).
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds. `None`: the text is no time. What does not fit into 64 bits is the longest time
/// that does.
pub fn parse(text: &str) -> Option<u64> {
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut total = 0_u64;
    loop {
        let (number, behind) = rest.split_at(count(rest, u8::is_ascii_digit));
        let (unit, behind) = behind.split_at(count(behind, u8::is_ascii_alphabetic));
        if number.is_empty() {
            return None;
        }
        let unit = if unit.is_empty() && behind.is_empty() {
            "s"
        } else {
            unit
        };
        // Searched from where the last one was found: in order, and once each.
        let (_, scale) = units.find(|(name, _)| *name == unit)?;
        let number = number.parse().unwrap_or(u64::MAX);
        total = total.saturating_add(scale.saturating_mul(number));
        rest = behind.trim_start_matches(' ');
        if rest.is_empty() {
            return Some(total);
        }
    }
}

/// The shortest text that [`parse`] reads as so many milliseconds.
pub fn format(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = ms;
    for (unit, scale) in UNITS {
        if rest >= scale {
            text.push_str(&format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    text
}

/// How many bytes at the start are of this kind.
fn count(text: &str, kind: fn(&u8) -> bool) -> usize {
    text.bytes().take_while(kind).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_go_from_large_to_small_and_stand_once() {
        let table = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("2", Some(2_000)),
            ("02s", Some(2_000)),
            ("500ms", Some(500)),
            ("2s500ms", Some(2_500)),
            ("1m30s", Some(90_000)),
            ("1m30", Some(90_000)),
            ("1m 30s", Some(90_000)),
            ("1m1ms", Some(60_001)),
            ("120s", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("1d2h3m4s5ms", Some(93_784_005)),
            ("99999999999999999999d", Some(u64::MAX)),
            ("", None),
            ("s", None),
            ("1h m", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("1S", None),
            ("1 s", None),
            (" 1s", None),
            ("1us", None),
            ("1sec", None),
            ("1mms", None),
            ("30s1m", None),
            ("1s1s", None),
            ("1s5", None),
            ("5ms1s", None),
            ("1s,", None),
            ("1é", None),
            ("٣s", None),
        ];
        for (text, ms) in table {
            assert_eq!(parse(text), ms, "{text:?}");
        }
    }

    #[test]
    fn a_time_reads_back() {
        for (ms, text) in [
            (0, "0s"),
            (1, "1ms"),
            (999, "999ms"),
            (2_000, "2s"),
            (2_500, "2s500ms"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (3_599_999, "59m59s999ms"),
            (86_460_000, "1d1m"),
        ] {
            assert_eq!(format(ms), text);
            assert_eq!(parse(text), Some(ms));
        }
        for ms in [7, 1_001, 59_999, 61_000, 3_601_000, u64::MAX] {
            assert_eq!(parse(&format(ms)), Some(ms));
        }
    }
}
