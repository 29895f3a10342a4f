//! Single words with a meaning of their own: sizes, numbers, switches. The same for a file and
//! for the flags of `run`.

use std::ops::Range;

use ipnet::IpNet;

use super::error::shown;
use crate::{
    network,
    policy::{LogLevel, OnFull},
    time,
};

/// A word that does not mean what it should. Whoever reads the word adds whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WordError {
    /// nginx's sentence, without the directive.
    pub(crate) message: String,
    /// What the word should have been.
    pub(super) expected: String,
    /// The part of the word that is wrong, bytes; `None`: all of it.
    pub(super) part: Option<Range<usize>>,
}

impl WordError {
    pub(super) fn new(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            expected: expected.into(),
            part: None,
        }
    }

    pub(super) fn at(mut self, part: Range<usize>) -> Self {
        self.part = Some(part);
        self
    }
}

/// `text`, the end of `word`, as a time of at most so many milliseconds.
pub(super) fn time_of(
    word: &str,
    text: &str,
    what: &str,
    longest_ms: u32,
) -> Result<u32, WordError> {
    let part = word.len() - text.len()..word.len();
    let Some(ms) = time::parse(text) else {
        // As nginx says it of `limit_req`.
        let message = format!("invalid {what} value \"{}\"", shown(word));
        let expected = "expected a time such as 500ms, 2s or 1m30s";
        return Err(WordError::new(message, expected).at(part));
    };
    match u32::try_from(ms) {
        Ok(ms) if ms <= longest_ms => Ok(ms),
        _ => {
            let longest = time::format(longest_ms.into());
            let message = format!("too long {what} \"{}\"", shown(word));
            Err(WordError::new(message, format!("expected at most {longest}")).at(part))
        }
    }
}

/// `limit_conn ZONE NUMBER`: 1 to 65535.
pub(crate) fn connections(word: &str) -> Result<u16, WordError> {
    let expected = "expected a number from 1 to 65535";
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    match word.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok(number),
        // The number itself is fine, but too large; nginx has words for that.
        Err(_) if digits => Err(WordError::new(
            format!(
                "connection limit must be less 65536, not \"{}\"",
                shown(word)
            ),
            expected,
        )),
        _ => Err(WordError::new(
            format!("invalid number of connections \"{}\"", shown(word)),
            expected,
        )),
    }
}

/// `v4_prefix=N`, `v6_prefix=N`: bits of an address that has so many.
pub(super) fn prefix(word: &str, longest: u8) -> Result<u8, WordError> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let bits = word.parse().ok().filter(|bits| digits && *bits <= longest);
    bits.ok_or_else(|| {
        WordError::new(
            format!("invalid prefix length \"{}\"", shown(word)),
            format!("expected a number from 0 to {longest}"),
        )
    })
}

/// `on_full=reject|evict`
pub(super) fn on_full(word: &str) -> Result<OnFull, WordError> {
    one_of(
        word,
        &[("reject", OnFull::Reject), ("evict", OnFull::Evict)],
    )
}

/// An address or a network.
pub(super) fn network(word: &str) -> Result<IpNet, WordError> {
    network::parse(word)
        .map_err(|error| WordError::new(error.message(shown(word)), error.expected()))
}

/// Bytes: a number, then `k`, `m` or `g` for powers of 1024. A number beyond 64 bits is an error.
pub(crate) fn size(word: &str) -> Option<u64> {
    let (digits, shift) = match word.as_bytes().last()? {
        b'k' | b'K' => (&word[..word.len() - 1], 10),
        b'm' | b'M' => (&word[..word.len() - 1], 20),
        b'g' | b'G' => (&word[..word.len() - 1], 30),
        _ => (word, 0),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `on` or `off`.
pub(crate) fn switch(word: &str) -> Result<bool, WordError> {
    one_of(word, &[("on", true), ("off", false)])
}

/// `off` where it is not one of two, but stands for nothing at all.
pub(super) fn is_off(word: &str) -> bool {
    word.eq_ignore_ascii_case("off")
}

/// `limit_conn_log_level`.
pub(crate) fn refusal_level(word: &str) -> Result<LogLevel, WordError> {
    // `debug` is for what the daemon itself has to tell.
    one_of(word, &LEVELS[1..])
}

/// The level of `error_log`.
pub(super) fn log_level(word: &str) -> Result<LogLevel, WordError> {
    one_of(word, &LEVELS).map_err(|error| WordError {
        message: format!("invalid log level \"{}\"", shown(word)),
        ..error
    })
}

const LEVELS: [(&str, LogLevel); 5] = [
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("notice", LogLevel::Notice),
    ("warn", LogLevel::Warn),
    ("error", LogLevel::Error),
];

/// One of a few words; as in nginx, in any case.
pub(super) fn one_of<T: Copy>(word: &str, choices: &[(&str, T)]) -> Result<T, WordError> {
    choices
        .iter()
        .find(|(text, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names: Vec<String> = choices
                .iter()
                .map(|(text, _)| format!("\"{text}\""))
                .collect();
            WordError::new(
                format!("invalid value \"{}\"", shown(word)),
                format!("it must be {}", either(&names)),
            )
        })
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn either(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [init @ .., last] => format!("{} or {last}", init.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        let table = [
            ("0", Some(0)),
            ("32768", Some(32768)),
            ("64k", Some(65536)),
            ("10m", Some(10 << 20)),
            ("10M", Some(10 << 20)),
            ("2g", Some(2 << 30)),
            ("", None),
            ("m", None),
            ("-1m", None),
            ("+1m", None),
            ("1.5m", None),
            ("1t", None),
            ("10mb", None),
            ("1é", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("17179869184g", None),
        ];
        for (word, bytes) in table {
            assert_eq!(size(word), bytes, "{word}");
        }
    }

    #[test]
    fn a_number_of_connections_is_decimal_and_at_least_one() {
        for (word, number) in [("1", 1), ("010", 10), ("65535", 65535)] {
            assert_eq!(connections(word), Ok(number));
        }
        for word in [
            "",
            "0",
            "-1",
            "+1",
            "ten",
            "1.5",
            "65536",
            "99999999999999999999",
        ] {
            assert!(connections(word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_prefix_is_no_longer_than_the_address() {
        for (word, longest, bits) in [
            ("0", 32, 0),
            ("024", 32, 24),
            ("32", 32, 32),
            ("128", 128, 128),
        ] {
            assert_eq!(prefix(word, longest), Ok(bits), "{word}");
        }
        for (word, longest) in [
            ("33", 32),
            ("129", 128),
            ("256", 128),
            ("", 32),
            ("-1", 32),
            ("+1", 32),
            ("/24", 32),
        ] {
            let error = prefix(word, longest).expect_err(word);
            assert_eq!(error.message, format!("invalid prefix length \"{word}\""));
            assert_eq!(
                error.expected,
                format!("expected a number from 0 to {longest}")
            );
        }
    }

    #[test]
    fn debug_is_no_level_for_refusals() {
        assert_eq!(log_level("debug"), Ok(LogLevel::Debug));
        assert_eq!(refusal_level("WARN"), Ok(LogLevel::Warn));
        let error = refusal_level("debug").expect_err("refused");
        assert_eq!(
            error.expected,
            "it must be \"info\", \"notice\", \"warn\" or \"error\""
        );
    }
}
