//! Causes on the side of the server.

use super::{
    finding::finding,
    scene::{CROWD, FULL, NEAR, Scene, descriptors as have},
};
use crate::api::doctor::{Cause, Confidence, Diagnosis, Level};

const NGINX: &str = "nginx.conf";

/// Clients have closed, and the application does not notice.
pub(super) fn not_closed(scene: &Scene<'_>) -> Option<Diagnosis> {
    let leaked = scene.listener.activity.not_closed;
    let all = scene.listener.sources.connections;
    if leaked < CROWD || leaked * 4 < all {
        return None;
    }
    let owner = scene.owner();
    let summary = format!(
        "{owner} does not close what clients have closed: {leaked} of {all} connections are in \
         CLOSE_WAIT"
    );
    let diagnosis = finding(
        scene,
        Cause::NotClosed,
        scene.level(),
        Confidence::High,
        summary,
    );
    Some(
        diagnosis
            .with_evidence([format!(
                "{leaked} connections were in CLOSE_WAIT in both samples: only the application can end \
                 them, and each holds a descriptor"
            )])
            .with_evidence(scene.shortage())
            .with_evidence(scene.loss())
            .with_advice(format!(
                "find out where {owner} forgets to close; a restart frees what has leaked so far"
            ))
            .avoiding(
                "do not turn at tcp_fin_timeout or tcp_keepalive_time: no timer of the kernel ends \
                 CLOSE_WAIT",
            )
            .avoiding("do not raise the number of descriptors: a leak fills it, only later"),
    )
}

/// Requests are in, and no answers come.
pub(super) fn slow_upstream(scene: &Scene<'_>) -> Option<Diagnosis> {
    let activity = &scene.listener.activity;
    let waiting = activity.waiting - scene.incomplete();
    if waiting < CROWD || waiting * 2 < activity.accepted() {
        return None;
    }
    let slowest = scene.upstream();
    let summary = match slowest {
        Some(slowest) => format!(
            "slow upstream: {waiting} of {} connections wait for an answer, and {} is silent",
            activity.accepted(),
            slowest.address
        ),
        None => format!(
            "slow upstream: {waiting} of {} connections wait for an answer of {}",
            activity.accepted(),
            scene.owner()
        ),
    };
    let confidence = if slowest.is_some() {
        Confidence::High
    } else {
        // Long polling looks the same.
        Confidence::Medium
    };
    let place = match slowest {
        Some(slowest) => format!(
            "{} requests to {} were not answered for the whole interval",
            slowest.waiting, slowest.address
        ),
        None => {
            "no request to another server was found waiting: it is the application itself, or what \
                 it asks over a Unix socket"
                .to_owned()
        }
    };
    let unread = (activity.unread > 0).then(|| {
        format!(
            "{} of the requests were not even read: the application is stuck",
            activity.unread
        )
    });
    let advice = match slowest {
        Some(slowest) => format!(
            "look at {}: it is what everybody waits for",
            slowest.address
        ),
        None => format!("look at what {} does", scene.owner()),
    };
    let diagnosis = finding(
        scene,
        Cause::SlowUpstream,
        scene.level(),
        confidence,
        summary,
    );
    Some(
        diagnosis
            .with_evidence([scene.activity(), place])
            .with_evidence(unread)
            .with_evidence(scene.shortage())
            .with_evidence(scene.loss())
            .with_advice(advice)
            .with_line(
                NGINX,
                "proxy_connect_timeout 2s; proxy_read_timeout 10s;",
                "fail early, so that connections come back",
            )
            .avoiding(
                "do not raise worker_connections under a slow upstream: more requests wait, and the \
                 upstream gets slower",
            ),
    )
}

/// A process cannot open much more.
pub(super) fn descriptors(scene: &Scene<'_>) -> Option<Diagnosis> {
    let processes = scene.processes.iter();
    let (percent, process) = processes
        .filter_map(|it| Some((it.descriptor_percent()?, *it)))
        .max_by_key(|it| it.0)?;
    if percent < NEAR {
        return None;
    }
    let level = if percent >= FULL {
        Level::Critical
    } else {
        Level::Warning
    };
    let wanted = (process.descriptor_limit.unwrap_or(0) * 4).max(65_536);
    let summary = format!("descriptors run out: {}", have(process));
    let queued = scene.listener.activity.queued;
    let queued = (queued > 0 && percent >= FULL).then(|| {
        format!("{queued} connections wait to be accepted, which takes a descriptor each")
    });
    let diagnosis = finding(scene, Cause::Descriptors, level, Confidence::High, summary);
    let diagnosis = diagnosis
        .with_evidence([scene.activity()])
        .with_evidence(queued)
        .with_evidence(scene.top_source())
        .with_evidence(scene.loss())
        .with_line(
            "shell",
            format!("prlimit --pid {} --nofile={wanted}", process.pid),
            "raise the limit at once",
        )
        .with_line(
            "systemd",
            format!("LimitNOFILE={wanted}"),
            "and for good, in [Service]",
        );
    let diagnosis = match scene.nginx {
        Some(_) => diagnosis.with_line(
            NGINX,
            format!("worker_rlimit_nofile {wanted};"),
            "nginx sets it for its workers itself",
        ),
        None => diagnosis,
    };
    Some(diagnosis.avoiding(
        "do not raise worker_connections or the backlog first: without descriptors nothing is accepted",
    ))
}

/// More clients than nginx has connections for.
pub(super) fn capacity(scene: &Scene<'_>) -> Option<Diagnosis> {
    let nginx = scene.nginx?;
    let percent = nginx.used_percent.unwrap_or(0);
    let dropped = nginx.stub_status.map_or(0.0, |it| it.dropped_per_s);
    if percent < NEAR && dropped <= 0.0 {
        return None;
    }
    let level = if dropped > 0.0 {
        Level::Critical
    } else {
        Level::Warning
    };
    let (clients, capacity) = (nginx.clients, nginx.capacity);
    let room = capacity.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let summary = if dropped > 0.0 {
        format!("plain capacity: nginx closes {dropped:.1} connections per second unserved")
    } else {
        format!("plain capacity: nginx has {clients} clients and room for {room} ({percent} %)")
    };
    let more = nginx.worker_connections.unwrap_or(512).max(512) * 4;
    let diagnosis = finding(scene, Cause::Capacity, level, Confidence::High, summary);
    Some(
        diagnosis
            .with_evidence([scene.activity()])
            .with_evidence(scene.pressure().map(|it| it.1))
            .with_evidence(nginx.stub_status.map(|it| {
                format!(
                    "nginx has accepted {} connections and handled {}; the gap grows by {:.1} a second",
                    it.accepts, it.handled, it.dropped_per_s
                )
            }))
            .with_evidence(scene.top_source())
            .with_line(
                NGINX,
                format!(
                    "worker_rlimit_nofile {}; events {{ worker_connections {more}; }}",
                    2 * more
                ),
                "make room",
            )
            .avoiding(
                "do not raise worker_connections above what the descriptors allow: a client takes one, \
                 and another one if nginx proxies",
            ),
    )
}
