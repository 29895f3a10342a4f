//! A policy as canonical configuration text: every value written out, nothing inherited.

use std::{borrow::Cow, fmt};

use super::{on_off, servers::action};
use crate::policy::{Attach, LogTarget, Policy, Server, Zone};

/// Text that gives the same policy when it is read again.
pub fn configuration(policy: &Policy) -> impl fmt::Display + '_ {
    let mut text = format!(
        "error_log {} {};\n",
        log_target(policy),
        policy.error_log.level
    );
    if let Some(control) = &policy.control {
        text.push_str(&format!("control {};\n", word(&control.to_string_lossy())));
    }
    for attach in &policy.attach {
        let Attach::Cgroup(path) = attach;
        text.push_str(&format!(
            "attach cgroup {};\n",
            word(&path.to_string_lossy())
        ));
    }
    text.push('\n');
    for zone in &policy.zones {
        text.push_str(&self::zone(zone));
    }
    for server in &policy.servers {
        text.push('\n');
        text.push_str(&self::server(policy, server));
    }
    text
}

/// A number of bytes as the configuration writes it.
fn size(bytes: u64) -> String {
    for (unit, size) in [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)] {
        if bytes > 0 && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

fn log_target(policy: &Policy) -> Cow<'_, str> {
    match &policy.error_log.target {
        LogTarget::Stderr => "stderr".into(),
        LogTarget::File(path) => word(&path.to_string_lossy()).into_owned().into(),
    }
}

fn zone(zone: &Zone) -> String {
    let parameter = format!("zone={}:{}", zone.name, size(zone.size_bytes));
    format!(
        "limit_conn_zone {} {};\n",
        word(&zone.key.text),
        word(&parameter)
    )
}

fn server(policy: &Policy, server: &Server) -> String {
    let mut text = format!("server {{\n    server_name {};\n", word(&server.name));
    for listen in &server.listen {
        text.push_str(&format!("    listen {listen};\n"));
    }
    for limit in &server.limits {
        if let Some(zone) = policy.zones.get(limit.zone) {
            text.push_str(&format!(
                "    limit_conn {} {};\n",
                word(&zone.name),
                limit.number
            ));
        }
    }
    text.push_str(&format!(
        "    limit_conn_dry_run {};\n    limit_conn_log_level {};\n    limit_conn_action {};\n}}\n",
        on_off(server.dry_run),
        server.log_level,
        action(server.action)
    ));
    text
}

/// Quoted if it has to be.
fn word(text: &str) -> Cow<'_, str> {
    let special = |c: char| c.is_whitespace() || ";{}#\"'\\".contains(c);
    if !text.is_empty() && !text.contains(special) {
        return text.into();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::view::tests;

    #[test]
    fn a_policy_is_written_out_in_full() {
        assert_eq!(
            configuration(&tests::policy()).to_string(),
            "\
error_log stderr notice;
attach cgroup /sys/fs/cgroup/web.slice;

limit_conn_zone $binary_remote_addr zone=addr:10m;
limit_conn_zone $server_name$server_port zone=server:10m;

server {
    server_name default;
    limit_conn addr 20;
    limit_conn_dry_run off;
    limit_conn_log_level error;
    limit_conn_action drop;
}

server {
    server_name web;
    listen 80;
    listen 8000-8010;
    limit_conn addr 10;
    limit_conn server 15;
    limit_conn_dry_run off;
    limit_conn_log_level error;
    limit_conn_action drop;
}
"
        );
    }

    #[test]
    fn words_are_quoted_if_they_have_to_be() {
        assert_eq!(word("plain"), "plain");
        assert_eq!(word(""), "\"\"");
        assert_eq!(word("two words"), "\"two words\"");
        assert_eq!(word("a\"b\\c"), "\"a\\\"b\\\\c\"");
        assert_eq!(word("${server_name}"), "\"${server_name}\"");
    }

    #[test]
    fn sizes_take_the_largest_unit_that_fits() {
        assert_eq!(size(10 << 20), "10m");
        assert_eq!(size(1 << 30), "1g");
        assert_eq!(size(65_536), "64k");
        assert_eq!(size(65_537), "65537");
        assert_eq!(size(0), "0");
    }
}
