//! Causes on the side of the clients.

use super::{
    finding::{cap, finding},
    scene::{CROWD, NEAR, Scene},
};
use crate::api::doctor::{Cause, Confidence, Diagnosis, SourceReport};

const LIMITER: &str = "limiter.conf";
const NGINX: &str = "nginx.conf";
/// A limit for a client of which nothing is known: several times what a browser opens.
const USUAL: u64 = 20;

/// Most connections are of clients that hold them and hardly use them.
pub(super) fn slow(scene: &Scene<'_>) -> Option<Diagnosis> {
    let activity = &scene.listener.activity;
    let incomplete = scene.incomplete();
    let slow = activity.slow + activity.silent + incomplete;
    if slow < CROWD || slow * 2 < activity.accepted() {
        return None;
    }
    let confidence = if (activity.slow + incomplete) * 2 >= slow {
        Confidence::High
    } else {
        // Proxies and browsers open some in advance.
        Confidence::Medium
    };
    let summary = format!(
        "slow clients hold {slow} of {} connections",
        activity.accepted()
    );
    let diagnosis = finding(
        scene,
        Cause::SlowClients,
        scene.level(),
        confidence,
        summary,
    );
    Some(
        diagnosis
            .with_evidence([scene.activity()])
            .with_evidence((incomplete > 0).then(|| {
                format!(
                    "{incomplete} of those that seem to wait have sent half a request: nginx reads, and \
                     waits for nobody else"
                )
            }))
            .with_evidence(scene.top_source())
            .with_evidence(scene.shortage())
            .with_evidence(scene.loss())
            .with_line(
                NGINX,
                "client_header_timeout 10s; client_body_timeout 10s; send_timeout 10s; \
                 reset_timedout_connection on;",
                "give slow clients less time",
            )
            .with_line(
                LIMITER,
                cap(scene, false, USUAL),
                "and each of them fewer connections",
            )
            .avoiding(
                "do not raise worker_connections or the number of descriptors: slow clients cost the \
                 attacker nothing, and take whatever there is",
            ),
    )
}

/// One client, or one network, holds most of the connections, and far more than the others.
pub(super) fn greedy(scene: &Scene<'_>) -> Option<Diagnosis> {
    let sources = &scene.listener.sources;
    let is_pressed = scene.loses() || scene.pressure_percent() >= NEAR;
    let is_greedy = |top: &[SourceReport]| {
        let (Some(first), second) = (top.first(), top.get(1)) else {
            return false;
        };
        let many = if is_pressed { CROWD } else { 5 * CROWD };
        let is_other = second.is_some_and(|it| first.connections >= 10 * it.connections);
        first.connections >= many && first.percent >= 50 && is_other
    };
    let is_client = is_greedy(&sources.top_clients);
    let top = if is_client {
        &sources.top_clients
    } else if is_greedy(&sources.top_networks) {
        &sources.top_networks
    } else {
        return None;
    };
    let (first, second) = (top.first()?, top.get(1)?);
    let summary = format!(
        "one greedy source: {} holds {} of {} connections ({} %)",
        first.source, first.connections, sources.connections, first.percent
    );
    let confidence = if first.percent >= NEAR {
        Confidence::High
    } else {
        Confidence::Medium
    };
    let diagnosis = finding(
        scene,
        Cause::GreedySource,
        scene.level(),
        confidence,
        summary,
    );
    Some(
        diagnosis
            .with_evidence([
                format!(
                    "the next one, {}, holds {}; there are {} clients in {} networks",
                    second.source, second.connections, sources.clients, sources.networks
                ),
                scene.activity(),
            ])
            .with_evidence(scene.shortage())
            .with_evidence(scene.loss())
            .with_line(
                LIMITER,
                cap(scene, !is_client, (2 * second.connections).max(USUAL)),
                "cap every client, with room for the others as they are",
            )
            .with_advice(format!(
                "if {} is a proxy of yours, it is many clients: have it exempt (limit_conn_exempt), and \
                 limit where it runs",
                first.source
            ))
            .avoiding(
                "do not raise somaxconn, worker_connections or the number of descriptors: one source \
                 takes what you add",
            ),
    )
}

/// Most of the room is taken by connections that were answered and are kept alive.
pub(super) fn keep_alive(scene: &Scene<'_>) -> Option<Diagnosis> {
    let activity = &scene.listener.activity;
    let (percent, sentence) = scene.pressure()?;
    let is_pile = activity.idle >= CROWD && activity.idle * 100 >= 80 * activity.accepted();
    // Without a shortage they are what they are for.
    if !is_pile || (percent < 50 && !scene.loses()) {
        return None;
    }
    let summary = format!(
        "keep-alive pile-up: {} of {} connections are idle, and the room is used up to {percent} %",
        activity.idle,
        activity.accepted()
    );
    let diagnosis = finding(
        scene,
        Cause::KeepAlive,
        scene.level(),
        Confidence::High,
        summary,
    );
    let waiting = scene.nginx.and_then(|nginx| nginx.stub_status);
    Some(
        diagnosis
            .with_evidence([scene.activity(), sentence])
            .with_evidence(waiting.map(|it| {
                format!(
                    "nginx says the same: {} of {} connections wait for a request",
                    it.waiting, it.active
                )
            }))
            .with_evidence(scene.top_source())
            .with_evidence(scene.loss())
            .with_line(
                NGINX,
                "keepalive_timeout 15s;",
                "close idle connections sooner",
            )
            .with_line(
                LIMITER,
                cap(scene, false, USUAL),
                "keep a client from holding many of them",
            )
            .avoiding(
                "do not switch keep-alive off: every request then costs a handshake, and a TLS one \
                 where there is TLS",
            ),
    )
}
