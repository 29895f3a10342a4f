//! Queues of the kernel.

use super::{
    finding::finding,
    scene::{NEAR, Scene, is_full},
};
use crate::api::doctor::{Advice, Cause, Confidence, Diagnosis, KernelReport, Level};

const SYSCTL: &str = "sysctl";
/// `net.core.somaxconn` since Linux 5.4.
const USUAL_SOMAXCONN: u32 = 4_096;

/// The accept queue overflows, is full, or nearly so.
pub(super) fn accept(scene: &Scene<'_>) -> Option<Diagnosis> {
    let queue = &scene.listener.queue;
    let is_full = is_full(scene.listener);
    let overflows = scene.overflows();
    // A single connection is no queue.
    let shorter = u64::from(queue.depth.min(queue.depth_before));
    let is_near = shorter >= 4 && shorter * 100 >= NEAR * u64::from(queue.limit);
    if !is_full && !overflows && !is_near {
        return None;
    }
    let (level, confidence) = match (is_full, overflows) {
        (true, _) => (Level::Critical, Confidence::High),
        (false, true) => (Level::Critical, Confidence::Medium),
        (false, false) => (Level::Warning, Confidence::High),
    };
    let summary = if overflows {
        format!(
            "accept queue overflow: {:.1} handshakes per second find it full, and clients are lost",
            scene.kernel.listen_overflows.per_s
        )
    } else if is_full {
        "accept queue overflow: it is full, and the next client is lost".to_owned()
    } else {
        "accept queue overflow is near".to_owned()
    };
    let cut = if queue.cut_by_somaxconn {
        "net.core.somaxconn cuts it there"
    } else {
        "the application asked for no more (the backlog of listen(2))"
    };
    let activity = &scene.listener.activity;
    let is_stuck = activity.queued_before > 0 && activity.queued_before * 2 >= activity.queued;
    let stuck = is_stuck.then(|| {
        format!(
            "{} of them waited in both samples: {} does not accept",
            activity.queued_before,
            scene.owner()
        )
    });
    let dropped = (queue.drops.per_s > 0.0).then(|| {
        format!(
            "the listener drops {:.1} packets per second",
            queue.drops.per_s
        )
    });
    let diagnosis = finding(scene, Cause::AcceptQueue, level, confidence, summary)
        .with_evidence([format!(
            "{} connections wait to be accepted ({} at the first look); the queue is made for {}: {cut}",
            queue.depth, queue.depth_before, queue.limit
        )])
        .with_evidence(stuck)
        .with_evidence(dropped)
        .with_evidence(scene.shortage());
    Some(with_advice(scene, diagnosis, is_stuck))
}

fn with_advice(scene: &Scene<'_>, diagnosis: Diagnosis, is_stuck: bool) -> Diagnosis {
    if is_stuck {
        let diagnosis = match scene.processes.first() {
            Some(process) => diagnosis.with_line(
                "shell",
                format!("strace -f -p {}", process.pid),
                "look at what it does instead of accepting",
            ),
            None => diagnosis.with_advice("look at what the application does instead of accepting"),
        };
        return diagnosis.avoiding(
            "do not make the queue longer while nobody accepts: more clients wait longer, and are lost \
             all the same",
        );
    }
    let queue = &scene.listener.queue;
    let wanted = queue.limit.saturating_mul(4).max(USUAL_SOMAXCONN);
    let somaxconn = scene.kernel.somaxconn.unwrap_or(0);
    let diagnosis = if queue.cut_by_somaxconn || somaxconn < wanted {
        diagnosis.with_line(
            SYSCTL,
            format!("net.core.somaxconn = {wanted}"),
            "allow a longer queue; the application must listen anew",
        )
    } else {
        diagnosis
    };
    let port = scene.listener.listen.port();
    let diagnosis = match scene.nginx {
        Some(_) => diagnosis.with_line(
            "nginx.conf",
            format!("listen {port} backlog={wanted};"),
            "ask for a longer queue",
        ),
        None => diagnosis.with_advice(format!(
            "have {} listen with a backlog of {wanted}",
            scene.owner()
        )),
    };
    diagnosis.avoiding(
        "do not set net.ipv4.tcp_abort_on_overflow: clients that would get in a second later are \
         turned away",
    )
}

/// Half-open connections have no room.
pub(super) fn syn(scene: &Scene<'_>) -> Option<Diagnosis> {
    let kernel = scene.kernel;
    let half_open = scene.listener.states.syn_recv;
    let room = u64::from(scene.listener.queue.limit);
    let rate = kernel.syn_queue_drops.per_s + kernel.syn_queue_cookies.per_s;
    // The counters are of the namespace: they are about a queue that is at least half full.
    if rate <= 0.0 || half_open < 8 || half_open * 2 < room {
        return None;
    }
    let level = if kernel.syn_queue_drops.per_s > 0.0 {
        Level::Critical
    } else {
        Level::Warning
    };
    let summary = format!("SYN queue overflow: {half_open} handshakes have begun and do not end");
    Some(
        finding(scene, Cause::SynQueue, level, Confidence::Medium, summary)
            .with_evidence([format!(
                "{:.1} SYNs per second find the queue full; {:.1} are dropped, {:.1} get a cookie",
                rate, kernel.syn_queue_drops.per_s, kernel.syn_queue_cookies.per_s
            )])
            .with_line(
                SYSCTL,
                "net.ipv4.tcp_syncookies = 1",
                "answer with cookies when the queue is full",
            )
            .with_advice("raise the backlog of the listener and net.core.somaxconn: they bound this queue, too")
            .avoiding("do not limit by the address of SYNs: in a flood it is forged"),
    )
}

/// Overflows that no listener could be found for.
pub(super) fn overflow_somewhere(kernel: &KernelReport) -> Option<Diagnosis> {
    let per_s = kernel.listen_overflows.per_s;
    (per_s > 0.0).then(|| Diagnosis {
        level: Level::Critical,
        cause: Cause::AcceptQueue,
        confidence: Confidence::Low,
        listener: None,
        summary: format!(
            "accept queue overflow: {per_s:.1} handshakes per second find a queue full, and clients are \
             lost"
        ),
        evidence: vec![
            "the counter is that of the whole network namespace; no listener that was looked at is \
             full at the moment"
                .to_owned(),
        ],
        advice: vec![Advice {
            text: "look again, at all listeners and for a shorter time (--interval 500ms)".to_owned(),
            place: None,
            line: None,
        }],
        avoid: Vec::new(),
    })
}
