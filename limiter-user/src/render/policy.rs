//! A policy as the configuration that says everything: inherited and default values stand in each
//! server, made-up names are written out.

use std::fmt;

use crate::{
    policy::{Attach, ErrorLog, LogTarget, Policy, Server, Zone},
    time,
};

/// The configuration that comes to this policy. Reading it gives the same policy again, as long as
/// its paths are UTF-8.
pub fn configuration(policy: &Policy) -> impl fmt::Display + '_ {
    fmt::from_fn(|f| {
        error_log(f, &policy.error_log)?;
        if let Some(path) = &policy.control {
            writeln!(f, "control {};", word(&path.to_string_lossy()))?;
        }
        for attach in &policy.attach {
            match attach {
                Attach::Cgroup(path) => {
                    writeln!(f, "attach cgroup {};", word(&path.to_string_lossy()))?;
                }
                Attach::Interface(interface) => writeln!(
                    f,
                    "attach interface {} mode={};",
                    word(&interface.name),
                    interface.mode
                )?,
            }
        }
        if !policy.zones.is_empty() {
            writeln!(f)?;
        }
        for it in &policy.zones {
            zone(f, it)?;
        }
        for it in &policy.servers {
            writeln!(f)?;
            server(f, it, &policy.zones)?;
        }
        Ok(())
    })
}

fn error_log(f: &mut fmt::Formatter<'_>, log: &ErrorLog) -> fmt::Result {
    match &log.target {
        LogTarget::Stderr => writeln!(f, "error_log stderr {};", log.level),
        LogTarget::File(path) => {
            writeln!(
                f,
                "error_log {} {};",
                word(&path.to_string_lossy()),
                log.level
            )
        }
    }
}

fn zone(f: &mut fmt::Formatter<'_>, zone: &Zone) -> fmt::Result {
    let parameter = format!("zone={}:{}", zone.name, size(zone.size_bytes));
    writeln!(
        f,
        "limit_conn_zone {} {};",
        word(&zone.key.text),
        word(&parameter)
    )
}

fn server(f: &mut fmt::Formatter<'_>, server: &Server, zones: &[Zone]) -> fmt::Result {
    writeln!(f, "server {{")?;
    writeln!(f, "    server_name {};", word(&server.name))?;
    for listen in &server.listen {
        writeln!(f, "    listen {listen};")?;
    }
    for limit in &server.limits {
        let zone = zones.get(limit.zone).map_or("", |zone| &zone.name);
        writeln!(f, "    limit_conn {} {};", word(zone), limit.number)?;
    }
    let dry_run = if server.dry_run { "on" } else { "off" };
    writeln!(f, "    limit_conn_dry_run {dry_run};")?;
    writeln!(f, "    limit_conn_log_level {};", server.log_level)?;
    let action = server.action.kind();
    match server.action.delay_ms() {
        None => writeln!(f, "    limit_conn_action {action};")?,
        Some(delay_ms) => writeln!(
            f,
            "    limit_conn_action {action} delay={};",
            time::format(delay_ms.into())
        )?,
    }
    writeln!(f, "}}")
}

/// Bytes in the largest unit that leaves no remainder.
fn size(bytes: u64) -> String {
    for (shift, unit) in [(30, "g"), (20, "m"), (10, "k")] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// A word, in quotes where it would not be one word without.
fn word(text: &str) -> impl fmt::Display + '_ {
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
    fn everything_is_written_out() {
        let text = "limit_conn_zone $binary_remote_addr zone=addr:1024k; limit_conn addr 20;
            attach interface eth0; attach cgroup /a;
            server { listen 443-443; limit_conn_dry_run on; limit_conn_action close delay=90; }";
        let policy = config::parse("t.conf", text).expect("valid").policy;
        let expected = "\
error_log stderr notice;
attach interface eth0 mode=auto;
attach cgroup /a;

limit_conn_zone $binary_remote_addr zone=addr:1m;

server {
    server_name 443;
    listen 443;
    limit_conn addr 20;
    limit_conn_dry_run on;
    limit_conn_log_level error;
    limit_conn_action close delay=1m30s;
}
";
        assert_eq!(configuration(&policy).to_string(), expected);
    }

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
