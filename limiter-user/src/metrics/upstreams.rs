//! Servers that processes connect to.

use prometheus::proto::MetricFamily;

use super::family::{Sample, counter, flag, gauge};
use crate::api::{QueueStatus, UpstreamServerStatus, UpstreamStatus};

pub(super) fn families(upstreams: &[UpstreamStatus]) -> Vec<MetricFamily> {
    let each = |value: fn(&UpstreamServerStatus) -> u64| -> Vec<Sample> {
        let servers = upstreams.iter();
        let servers = servers.flat_map(|upstream| {
            let servers = upstream.servers.iter();
            servers.map(move |server| (of(upstream, server), value(server) as f64))
        });
        servers.collect()
    };
    let dry_run = upstreams.iter().map(|upstream| {
        let labels = vec![("upstream", upstream.upstream.clone())];
        (labels, flag(upstream.dry_run))
    });
    let queue = |value: fn(&QueueStatus) -> f64| -> Vec<Sample> {
        let queues = upstreams.iter().filter_map(|upstream| {
            let queue = upstream.queue.as_ref()?;
            let labels = vec![("upstream", upstream.upstream.clone())];
            Some((labels, value(queue)))
        });
        queues.collect()
    };
    let families = [
        gauge(
            "limiter_upstream_connections",
            "Connections to a server of an upstream, from connect() to close.",
            each(|server| server.active),
        ),
        gauge(
            "limiter_upstream_max_connections",
            "Connections to a server of an upstream at the most; 0: as many as want to.",
            each(|server| server.max_conns.into()),
        ),
        counter(
            "limiter_upstream_passed_total",
            "Connects to a server of an upstream within its limit.",
            each(|server| server.passed),
        ),
        counter(
            "limiter_upstream_rejected_total",
            "Connects to a server of an upstream that were refused.",
            each(|server| server.rejected),
        ),
        counter(
            "limiter_upstream_rejected_dry_run_total",
            "Connects to a server of an upstream that only dry run let through.",
            each(|server| server.rejected_dry_run),
        ),
        counter(
            "limiter_upstream_untracked_total",
            "Connects to a server of an upstream that were let through and not counted.",
            each(|server| server.untracked),
        ),
        gauge(
            "limiter_upstream_dry_run",
            "1 if connects to the upstream are only counted and reported, and never refused.",
            dry_run,
        ),
        gauge(
            "limiter_upstream_queue_connections",
            "Connects that wait for a slot of a server of the upstream.",
            queue(|queue| queue.queued as f64),
        ),
        gauge(
            "limiter_upstream_queue_capacity",
            "Connects that may wait at the same time.",
            queue(|queue| queue.max.into()),
        ),
        counter(
            "limiter_upstream_queue_waited_total",
            "Connects that have waited and got a slot.",
            queue(|queue| queue.waited as f64),
        ),
        counter(
            "limiter_upstream_queue_rejected_total",
            "Connects that were refused because so many waited already.",
            queue(|queue| queue.rejected as f64),
        ),
        counter(
            "limiter_upstream_queue_timed_out_total",
            "Connects that have waited as long as they may, in vain.",
            queue(|queue| queue.timed_out as f64),
        ),
        gauge(
            "limiter_upstream_queue_longest_wait_seconds",
            "The longest that a connect has waited so far.",
            queue(|queue| queue.longest_wait_ms as f64 / 1e3),
        ),
    ];
    families.into_iter().flatten().collect()
}

fn of(upstream: &UpstreamStatus, server: &UpstreamServerStatus) -> Vec<(&'static str, String)> {
    vec![
        ("upstream", upstream.upstream.clone()),
        ("server", server.server.to_string()),
    ]
}
