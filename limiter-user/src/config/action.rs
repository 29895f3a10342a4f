//! `ACTION [delay=TIME]`: the same words in `limit_conn_action`, in `run --action` and in
//! `limiter action`.

use super::{
    error::shown,
    word::{self, WordError},
};
use crate::policy::{Action, ActionKind};

const KINDS: [(&str, ActionKind); 3] = [
    ("drop", ActionKind::Drop),
    ("reset", ActionKind::Reset),
    ("close", ActionKind::Close),
];

/// The first word.
pub(super) fn kind(word: &str) -> Result<ActionKind, WordError> {
    word::one_of(word, &KINDS)
}

/// The action, if the second word goes with the first.
pub(super) fn action(kind: ActionKind, parameter: Option<&str>) -> Result<Action, WordError> {
    let delay = parameter.map(|word| delay(kind, word)).transpose()?;
    Ok(match kind {
        ActionKind::Drop => Action::Drop,
        ActionKind::Reset => Action::Reset,
        ActionKind::Close => Action::Close {
            delay_ms: delay.unwrap_or(0),
        },
    })
}

/// The words of a command line.
pub(super) fn all(words: &[String]) -> Result<Action, WordError> {
    match words {
        [first] => action(kind(first)?, None),
        [first, second] => action(kind(first)?, Some(second)),
        _ => Err(WordError::new(
            "invalid number of words",
            "expected ACTION [delay=TIME]",
        )),
    }
}

/// `delay=TIME`, milliseconds.
fn delay(kind: ActionKind, word: &str) -> Result<u32, WordError> {
    const PREFIX: &str = "delay=";
    let Some(text) = word.strip_prefix(PREFIX) else {
        let message = format!("invalid parameter \"{}\"", shown(word));
        return Err(WordError::new(
            message,
            match kind {
                ActionKind::Close => "expected delay=TIME",
                ActionKind::Drop | ActionKind::Reset => "not expected here",
            },
        ));
    };
    if kind != ActionKind::Close {
        let message = format!(
            "invalid parameter \"{}\", \"{kind}\" has no delay",
            shown(word)
        );
        return Err(WordError::new(message, "only \"close\" has a delay"));
    }
    word::time_of(word, text, "delay", Action::MAX_DELAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Action, String> {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        all(&words).map_err(|error| format!("{}: {}", error.message, error.expected))
    }

    #[test]
    fn close_has_a_delay_of_an_hour_at_the_most() {
        let close = |delay_ms| Ok(Action::Close { delay_ms });
        for (words, expected) in [
            ("drop", Ok(Action::Drop)),
            ("RESET", Ok(Action::Reset)),
            ("close", close(0)),
            ("close delay=0", close(0)),
            ("close delay=500ms", close(500)),
            ("close delay=2", close(2_000)),
            ("close delay=1m30s", close(90_000)),
            ("close delay=60m", close(Action::MAX_DELAY_MS)),
        ] {
            assert_eq!(read(words), expected, "{words}");
        }
        for delay in ["1h1ms", "1d", "3600001ms", "99999999999999999999s"] {
            let expected = format!("too long delay \"delay={delay}\": expected at most 1h");
            assert_eq!(read(&format!("close delay={delay}")), Err(expected));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let no_delay = "only \"close\" has a delay";
        let a_time = "expected a time such as 500ms, 2s or 1m30s";
        for (words, message, expected) in [
            (
                "ban",
                "invalid value \"ban\"",
                "it must be \"drop\", \"reset\" or \"close\"",
            ),
            (
                "drop delay=1s",
                "invalid parameter \"delay=1s\", \"drop\" has no delay",
                no_delay,
            ),
            (
                "reset delay=0",
                "invalid parameter \"delay=0\", \"reset\" has no delay",
                no_delay,
            ),
            ("drop now", "invalid parameter \"now\"", "not expected here"),
            (
                "close dely=1s",
                "invalid parameter \"dely=1s\"",
                "expected delay=TIME",
            ),
            ("close delay=", "invalid delay value \"delay=\"", a_time),
            (
                "close delay=-1s",
                "invalid delay value \"delay=-1s\"",
                a_time,
            ),
            (
                "close delay=1s delay=1s",
                "invalid number of words",
                "expected ACTION [delay=TIME]",
            ),
            (
                "close delay=2s1m",
                "invalid delay value \"delay=2s1m\"",
                a_time,
            ),
        ] {
            assert_eq!(read(words), Err(format!("{message}: {expected}")));
        }
    }
}
