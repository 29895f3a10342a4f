//! Where the servers listen, and whether there is room for more.

use prometheus::proto::MetricFamily;

use super::{
    ServerSockets, Sockets,
    family::{Sample, counter, gauge, one},
};

pub(super) fn families(sockets: Option<&Sockets>) -> Vec<MetricFamily> {
    let Some(sockets) = sockets else {
        return Vec::new();
    };
    let each = |value: fn(&ServerSockets) -> Option<f64>| -> Vec<Sample> {
        let servers = sockets.servers.iter();
        servers
            .filter_map(|server| Some((of(server), value(server)?)))
            .collect()
    };
    let lost = &sockets.lost;
    let families = [
        gauge(
            "limiter_server_listeners",
            "Sockets that listen for a server.",
            each(|it| Some(it.listeners as f64)),
        ),
        gauge(
            "limiter_server_accept_queue_connections",
            "Connections that wait to be accepted, in the fullest queue of a server.",
            each(|it| Some(it.queue.into())),
        ),
        gauge(
            "limiter_server_accept_queue_limit",
            "Connections that this queue is made for: min(backlog, somaxconn).",
            each(|it| Some(it.queue_limit.into())),
        ),
        gauge(
            "limiter_server_sockets",
            "Connections of a server by TCP state, counted or not.",
            sockets.servers.iter().flat_map(states),
        ),
        gauge(
            "limiter_server_descriptors_used_ratio",
            "Part of its descriptors that the process of a server has open, 0 to 1; of several the most.",
            each(|it| it.descriptors_used),
        ),
        counter(
            "limiter_listen_overflows_total",
            "Handshakes that found an accept queue full, where servers listen.",
            one(lost.listen_overflows as f64),
        ),
        counter(
            "limiter_listen_drops_total",
            "Packets that listeners dropped for that reason or another, where servers listen.",
            one(lost.listen_drops as f64),
        ),
        counter(
            "limiter_syn_queue_drops_total",
            "SYNs that were dropped because a SYN queue was full, where servers listen.",
            one(lost.syn_queue_drops as f64),
        ),
        counter(
            "limiter_syn_queue_cookies_total",
            "SYNs that found a SYN queue full and got a cookie, where servers listen.",
            one(lost.syn_queue_cookies as f64),
        ),
        counter(
            "limiter_syncookies_sent_total",
            "SYN cookies that were sent, where servers listen.",
            one(lost.syncookies_sent as f64),
        ),
    ];
    families.into_iter().flatten().collect()
}

fn states(server: &ServerSockets) -> impl Iterator<Item = Sample> {
    server.states.named().into_iter().map(|(state, count)| {
        let mut labels = of(server);
        labels.push(("state", state.to_owned()));
        (labels, count as f64)
    })
}

fn of(server: &ServerSockets) -> Vec<(&'static str, String)> {
    vec![("server", server.server.clone())]
}
