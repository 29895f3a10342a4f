//! A policy as the configuration that says everything: inherited and default values stand in each
//! server, made-up names are written out, and behind each value stands where it comes from.

use super::{
    bytes,
    notes::{Lines, note, notes},
    on_off,
    words::{size, word},
};
use crate::{
    control::DEFAULT_SOCKET,
    policy::{
        Attach, Grant, LimitConn, LogFormat, LogTarget, Metrics, Policy, Queue, Server, Upstream,
        Zone,
        origin::{LimitOrigins, Origins, ServerOrigins, UpstreamOrigins, ZoneOrigins},
    },
    time,
    zone_map::MapSize,
};

/// The configuration that comes to this policy, for a machine that may have so many CPUs. Reading
/// it gives the same policy again, as long as its paths are UTF-8.
pub fn configuration(policy: &Policy, origins: &Origins, cpus: u64) -> String {
    let mut lines = Lines::default();
    error_log(&mut lines, policy, origins);
    control(&mut lines, policy, origins);
    metrics(&mut lines, &policy.metrics, origins);
    attach(&mut lines, policy, origins);
    for (index, it) in policy.zones.iter().enumerate() {
        lines.blank();
        zone(&mut lines, it, origins.zones.get(index), cpus);
    }
    if let Some(first) = policy.upstreams.first() {
        lines.blank();
        main_context(&mut lines, first, origins.upstreams.first());
    }
    for (index, it) in policy.upstreams.iter().enumerate() {
        lines.blank();
        upstream(&mut lines, it, origins.upstreams.get(index));
    }
    for (index, it) in policy.servers.iter().enumerate() {
        lines.blank();
        server(&mut lines, it, &policy.zones, origins.servers.get(index));
    }
    lines.render()
}

fn error_log(lines: &mut Lines, policy: &Policy, origins: &Origins) {
    let log = &policy.error_log;
    let target = match &log.target {
        LogTarget::Stderr => "stderr".to_owned(),
        LogTarget::Journal => "journal".to_owned(),
        LogTarget::File(path) => word(&path.to_string_lossy()).to_string(),
    };
    let format = match log.format {
        LogFormat::Text => "",
        LogFormat::Json => " format=json",
    };
    let text = format!("error_log {target} {}{format};", log.level);
    let origins = [
        ("target", &origins.error_log),
        ("level", &origins.error_log_level),
    ];
    lines.add(text, notes(origins));
}

/// Without any, the socket is where it is by default, or where `--control` says.
fn control(lines: &mut Lines, policy: &Policy, origins: &Origins) {
    let Grant { group, others } = &policy.grant;
    let path = match &policy.control {
        Some(path) => path.to_string_lossy(),
        None if policy.grant == Grant::default() => return,
        None => DEFAULT_SOCKET.into(),
    };
    let mut text = format!("control {}", word(&path));
    if let Some(group) = group {
        text.push_str(&format!(" {}", word(&format!("group={}", group.name))));
    }
    text.push_str(&format!(" others={others};"));
    let group = group.as_ref().map(|_| ("group", &origins.control_group));
    let parts = [("path", &origins.control)].into_iter().chain(group);
    lines.add(
        text,
        notes(parts.chain([("others", &origins.control_others)])),
    );
}

/// What is not on says nothing.
fn metrics(lines: &mut Lines, metrics: &Metrics, origins: &Origins) {
    for (index, address) in metrics.listen.iter().enumerate() {
        let origin = origins.metrics.get(index);
        lines.add(format!("metrics {address};"), note(origin));
    }
    if metrics.top > 0 {
        let text = format!("metrics_top {};", metrics.top);
        lines.add(text, note(Some(&origins.metrics_top)));
    }
    if metrics.run_time {
        let origin = &origins.metrics_run_time;
        lines.add("metrics_run_time on;", note(Some(origin)));
    }
}

fn attach(lines: &mut Lines, policy: &Policy, origins: &Origins) {
    let mut cgroups = origins.cgroups.iter();
    let mut interfaces = origins.interfaces.iter();
    if policy.cgroups().next().is_none() {
        lines.comment("no cgroup: the root of the cgroup2 hierarchy");
    }
    for attach in &policy.attach {
        match attach {
            Attach::Cgroup(path) => {
                let text = format!("attach cgroup {};", word(&path.to_string_lossy()));
                lines.add(text, note(cgroups.next()));
            }
            Attach::Interface(interface) => {
                let name = word(&interface.name);
                let text = format!("attach interface {name} mode={};", interface.mode);
                let origins = interfaces.next();
                let origins = origins.map(|it| [("name", &it.interface), ("mode", &it.mode)]);
                lines.add(text, notes(origins.into_iter().flatten()));
            }
        }
    }
}

fn zone(lines: &mut Lines, zone: &Zone, origins: Option<&ZoneOrigins>, cpus: u64) {
    let memory = MapSize::of(zone.capacity(), cpus).memory_bytes();
    lines.comment(format!(
        "room for {} keys, takes {} of kernel memory",
        zone.capacity(),
        bytes(memory)
    ));
    let parameter = format!("zone={}:{}", zone.name, size(zone.size_bytes));
    let mut text = format!(
        "limit_conn_zone {} {}",
        word(&zone.key.text),
        word(&parameter)
    );
    if let Some(prefixes) = zone.client_prefixes() {
        text.push_str(&format!(
            " v4_prefix={} v6_prefix={}",
            prefixes.v4, prefixes.v6
        ));
    }
    text.push_str(&format!(" on_full={};", zone.on_full));
    let origins = origins.map(|it| {
        let parts = [
            ("key", Some(&it.key)),
            ("name", Some(&it.zone)),
            ("size", Some(&it.size_bytes)),
            ("v4_prefix", it.v4_prefix.as_ref()),
            ("v6_prefix", it.v6_prefix.as_ref()),
            ("on_full", Some(&it.on_full)),
        ];
        parts
            .into_iter()
            .filter_map(|(name, origin)| Some((name, origin?)))
    });
    lines.add(text, notes(origins.into_iter().flatten()));
}

/// What upstreams have from the main context; servers say it for themselves.
fn main_context(lines: &mut Lines, upstream: &Upstream, origins: Option<&UpstreamOrigins>) {
    let dry_run = format!("limit_conn_dry_run {};", on_off(upstream.dry_run));
    lines.add(dry_run, note(origins.map(|it| &it.dry_run)));
    let level = format!("limit_conn_log_level {};", upstream.log_level);
    lines.add(level, note(origins.map(|it| &it.log_level)));
}

fn upstream(lines: &mut Lines, upstream: &Upstream, origins: Option<&UpstreamOrigins>) {
    let text = format!("upstream {} {{", word(&upstream.name));
    lines.add(text, note(origins.map(|it| &it.upstream)));
    for (index, it) in upstream.servers.iter().enumerate() {
        let text = format!("    server {} max_conns={};", it.addr, it.max_conns);
        lines.add(text, note(origins.and_then(|it| it.servers.get(index))));
    }
    if let Some(Queue { max, timeout_ms }) = upstream.queue {
        let timeout = time::format(timeout_ms.into());
        let text = format!("    queue {max} timeout={timeout};");
        lines.add(text, note(origins.map(|it| &it.queue)));
    }
    lines.add("}", None);
}

fn server(lines: &mut Lines, server: &Server, zones: &[Zone], origins: Option<&ServerOrigins>) {
    lines.add("server {", note(origins.map(|it| &it.block)));
    let name = format!("    server_name {};", word(&server.name));
    lines.add(name, note(origins.map(|it| &it.server)));
    if server.listen.is_empty() {
        lines.comment("    no listen: every port that no other server has");
    }
    for (index, listen) in server.listen.iter().enumerate() {
        let origin = origins.and_then(|it| it.listen.get(index));
        lines.add(format!("    listen {listen};"), note(origin));
    }
    for (index, it) in server.limits.iter().enumerate() {
        let name = zones.get(it.zone).map_or("", |zone| &zone.name);
        limit(lines, it, name, origins.and_then(|it| it.limits.get(index)));
    }
    if let Some(off) = origins.and_then(|it| it.overrides_off.as_ref()) {
        lines.add("    limit_conn_override off;", note(Some(off)));
    }
    if server.exempt.is_empty() {
        let origin = origins.and_then(|it| it.exempt_off.as_ref());
        lines.add("    limit_conn_exempt off;", note(origin));
    }
    for (index, network) in server.exempt.iter().enumerate() {
        let origin = origins.and_then(|it| it.exempt.get(index));
        lines.add(format!("    limit_conn_exempt {network};"), note(origin));
    }
    let dry_run = format!("    limit_conn_dry_run {};", on_off(server.dry_run));
    lines.add(dry_run, note(origins.map(|it| &it.dry_run)));
    let level = format!("    limit_conn_log_level {};", server.log_level);
    lines.add(level, note(origins.map(|it| &it.log_level)));
    let action = format!("    limit_conn_action {};", server.action);
    let origins = origins.map(|it| {
        let delay = it.delay_ms.as_ref().map(|origin| ("delay", origin));
        [("action", &it.action)].into_iter().chain(delay)
    });
    lines.add(action, notes(origins.into_iter().flatten()));
    lines.add("}", None);
}

fn limit(lines: &mut Lines, limit: &LimitConn, zone: &str, origins: Option<&LimitOrigins>) {
    let zone = word(zone).to_string();
    let text = format!("    limit_conn {zone} {};", limit.number);
    lines.add(text, note(origins.map(|it| &it.limit)));
    for (index, one) in limit.overrides.iter().enumerate() {
        let text = format!(
            "    limit_conn_override {zone} {} {};",
            one.network, one.number
        );
        let origin = origins.and_then(|it| it.overrides.get(index));
        lines.add(text, note(origin));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{self, Loaded},
        policy::{Action, Interface, XdpMode},
    };

    #[test]
    fn upstreams_read_back() {
        let text = "limit_conn_dry_run on; limit_conn_log_level warn; \
                    upstream a { server 192.0.2.1:80 max_conns=8; server [2001:db8::1]:80; } \
                    upstream \"b c\" { server 192.0.2.2:80 max_conns=4294967295; queue 100 timeout=1m; }";
        let loaded = config::parse("t.conf", text).expect("valid");
        assert_eq!(loaded.policy.upstreams.len(), 2);
        assert!(loaded.policy.upstreams[1].dry_run);
        let text = configuration(&loaded.policy, &loaded.origins, 2);
        let again = config::parse("t.conf", &text).expect(&text).policy;
        assert_eq!(again, loaded.policy, "{text}");
    }

    #[test]
    fn every_action_and_mode_reads_back() {
        let close = [0, 1, 999, 2_000, 90_000, 3_599_999, Action::MAX_DELAY_MS];
        let close = close.map(|delay_ms| Action::Close { delay_ms });
        for action in [Action::Drop, Action::Reset].into_iter().chain(close) {
            for mode in [XdpMode::Auto, XdpMode::Native, XdpMode::Generic] {
                let Loaded {
                    mut policy,
                    origins,
                    ..
                } = config::parse("t.conf", "").expect("valid");
                policy.servers[0].action = action;
                policy.attach.push(Attach::Interface(Interface {
                    name: "a;\u{1b}\"b".to_owned(),
                    mode,
                }));
                let text = configuration(&policy, &origins, 2);
                let again = config::parse("t.conf", &text).expect(&text).policy;
                assert_eq!(again, policy, "{text}");
            }
        }
    }
}
