//! `--since`

use jiff::{
    Timestamp, ToSpan as _, Zoned,
    civil::{DateTime, Time},
};

use crate::time;

/// A time, or how long ago it was.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, &Zoned::now())
}

fn parse_at(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    if let Some(ms) = time::parse(text) {
        let ago = i64::try_from(ms).unwrap_or(i64::MAX);
        let then = now.timestamp().as_millisecond().saturating_sub(ago);
        return Ok(Timestamp::from_millisecond(then).unwrap_or(Timestamp::MIN));
    }
    if let Ok(timestamp) = text.parse() {
        return Ok(timestamp);
    }
    let zone = now.time_zone();
    if let Ok(time) = text.parse::<Time>() {
        // The last time that the clock showed this.
        let today = now.date().to_datetime(time);
        let zoned = today.to_zoned(zone.clone()).map_err(|e| e.to_string())?;
        let last = if zoned > *now {
            zoned.checked_sub(1.day()).map_err(|e| e.to_string())?
        } else {
            zoned
        };
        return Ok(last.timestamp());
    }
    if let Ok(time) = text.parse::<DateTime>() {
        let zoned = time.to_zoned(zone.clone()).map_err(|e| e.to_string())?;
        return Ok(zoned.timestamp());
    }
    Err(
        "expected a duration such as 10m, or a time such as 12:30, 2026-01-31 12:30 or \
         2026-01-31T12:30:00Z"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_or_a_time() {
        let now: Zoned = "2026-01-31T12:00:00+01:00[Europe/Berlin]"
            .parse()
            .expect("a time");
        for (text, expected) in [
            ("10m", "2026-01-31T10:50:00Z"),
            ("1d", "2026-01-30T11:00:00Z"),
            ("30", "2026-01-31T10:59:30Z"),
            ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z"),
            ("2026-01-31 09:15", "2026-01-31T08:15:00Z"),
            ("11:30", "2026-01-31T10:30:00Z"),
            ("23:30:15", "2026-01-30T22:30:15Z"),
        ] {
            let parsed = parse_at(text, &now).expect(text);
            assert_eq!(parsed.to_string(), expected, "{text}");
        }
        for text in ["", "yesterday", "25:00", "-1m", "2026-13-01"] {
            assert!(parse_at(text, &now).is_err(), "{text}");
        }
    }
}
