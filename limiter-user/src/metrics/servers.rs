//! Servers, and what is attached for their sake.

use std::collections::BTreeMap;

use prometheus::proto::MetricFamily;

use super::family::{Sample, flag, gauge, one};
use crate::api::{Attached, ServerStatus, Status};

pub(super) fn families(status: &Status) -> Vec<MetricFamily> {
    let each = |value: fn(&ServerStatus) -> f64| -> Vec<Sample> {
        let servers = status.servers.iter();
        servers.map(|server| (of(server), value(server))).collect()
    };
    let families = [
        gauge(
            "limiter_server_info",
            "A server: how it refuses, and at which level that is logged.",
            status.servers.iter().map(info),
        ),
        gauge(
            "limiter_server_dry_run",
            "1 if the server only counts and reports, and refuses nobody.",
            each(|server| flag(server.dry_run)),
        ),
        gauge(
            "limiter_server_limit_connections",
            "Connections per key at the most.",
            status.servers.iter().flat_map(limits),
        ),
        gauge(
            "limiter_server_changed_settings",
            "Settings that commands have changed since the configuration was read.",
            each(|server| server.changed.len() as f64),
        ),
        gauge(
            "limiter_attachment_up",
            "1 if programs are attached to a cgroup or an interface of the configuration, 0 while \
             it is waited for.",
            attachments(&status.attached),
        ),
        gauge(
            "limiter_network_namespaces",
            "Network namespaces in which refused attempts are answered.",
            one(namespaces(&status.attached) as f64),
        ),
    ];
    families.into_iter().flatten().collect()
}

fn info(server: &ServerStatus) -> Sample {
    let mut labels = of(server);
    labels.push(("action", server.action.to_string()));
    labels.push(("log_level", server.log_level.to_string()));
    (labels, 1.0)
}

fn limits(server: &ServerStatus) -> impl Iterator<Item = Sample> {
    server.limits.iter().map(|limit| {
        let mut labels = of(server);
        labels.push(("zone", limit.zone.clone()));
        (labels, f64::from(limit.limit))
    })
}

const NETWORK_NAMESPACE: &str = "netns";

/// Those that have names. A place may stand there more than once, with one program each.
fn attachments(attached: &[Attached]) -> Vec<Sample> {
    let mut places: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for one in attached.iter().filter(|one| one.kind != NETWORK_NAMESPACE) {
        let is_up = places.entry((&one.kind, &one.target)).or_insert(true);
        *is_up &= one.waiting.is_none() && !one.programs.is_empty();
    }
    let places = places.into_iter().map(|((kind, target), is_up)| {
        let labels = vec![("kind", kind.to_owned()), ("target", target.to_owned())];
        (labels, flag(is_up))
    });
    places.collect()
}

/// They come and go with containers, and their numbers say nothing.
fn namespaces(attached: &[Attached]) -> usize {
    let namespaces = attached.iter();
    namespaces
        .filter(|one| one.kind == NETWORK_NAMESPACE)
        .count()
}

fn of(server: &ServerStatus) -> Vec<(&'static str, String)> {
    vec![("server", server.server.clone())]
}
