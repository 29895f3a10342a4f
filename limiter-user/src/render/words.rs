//! Words of a configuration, as they have to be written.

use std::fmt;

/// Bytes in the largest unit that leaves no remainder.
pub(crate) fn size(bytes: u64) -> String {
    for (shift, unit) in [(30, "g"), (20, "m"), (10, "k")] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// A word, in quotes where it would not be one word without.
pub(crate) fn word(text: &str) -> impl fmt::Display + '_ {
    const SPECIAL: [char; 10] = [' ', '\t', '\r', '\n', ';', '{', '}', '"', '\'', '\\'];
    fmt::from_fn(move |f| {
        if !text.is_empty() && !text.starts_with('#') && !text.contains(SPECIAL) {
            return f.write_str(text);
        }
        f.write_str("\"")?;
        for character in text.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                '\n' => f.write_str("\\n")?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn any_word_reads_back() {
        let words = [
            "a",
            "",
            " ",
            "#",
            "a#b",
            "a\"b",
            "a'b",
            "a\\",
            "\\\\n",
            "a\tb\r\nc",
            "${server_port}x",
            "a;b",
            "}",
            "\\x2d",
            "ü",
            "\u{1b}[m",
        ];
        for text in words {
            let line = format!("limit_conn_zone {} zone=z:1m;", word(text));
            let policy = config::parse("t.conf", &line).expect(&line).policy;
            assert_eq!(policy.zones[0].key.text, text, "{line}");
        }
    }

    #[test]
    fn a_size_loses_nothing() {
        for (bytes, text) in [
            (32 << 10, "32k"),
            (3 << 20, "3m"),
            (4 << 30, "4g"),
            ((1 << 20) + 1, "1048577"),
            (0, "0"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
