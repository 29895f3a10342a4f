//! From what was found to a cause. Pure: the same findings give the same verdict.
//!
//! Each cause looks at a listener for itself. Of several at one listener the first in the order of
//! [`Cause`] explains the others, and is as bad as the worst of them: a slow upstream fills accept
//! queues, an accept queue makes no upstream slow.

use self::scene::Scene;
use crate::api::doctor::{
    Cause, Confidence, Diagnosis, KernelReport, Level, LimitsReport, ListenerReport, NginxReport,
    ProcessReport,
};

mod clients;
mod finding;
mod queues;
mod scene;
mod server;
mod zones;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The network namespace.
    pub kernel: &'a KernelReport,
    /// The listeners that are of interest.
    pub listeners: &'a [ListenerReport],
    /// The processes that have them.
    pub processes: &'a [ProcessReport],
    /// Those of nginx.
    pub nginx: &'a [NginxReport],
    /// What the daemon says.
    pub limits: Option<&'a LimitsReport>,
    /// Whether something could not be seen.
    pub is_blind: bool,
    /// Whether these are all listeners of the namespace.
    pub is_everything: bool,
}

/// The dominant cause, and what was found besides, the worst first.
pub fn judge(facts: &Facts<'_>) -> (Diagnosis, Vec<Diagnosis>) {
    let mut all: Vec<Diagnosis> = facts
        .listeners
        .iter()
        .flat_map(|listener| of_listener(&Scene::new(facts, listener)))
        .collect();
    all.extend(facts.limits.into_iter().flat_map(zones::nearly_full));
    // Of listeners that nobody asked for nothing is said.
    if facts.is_everything && !all.iter().any(|it| it.cause == Cause::AcceptQueue) {
        all.extend(queues::overflow_somewhere(facts.kernel));
    }
    all.sort_by_key(|it| (std::cmp::Reverse(it.level), it.cause));
    if all.is_empty() {
        return (healthy(facts), Vec::new());
    }
    let first = all.remove(0);
    (first, all)
}

fn of_listener(scene: &Scene<'_>) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = [
        server::not_closed(scene),
        clients::slow(scene),
        server::slow_upstream(scene),
        clients::greedy(scene),
        server::descriptors(scene),
        clients::keep_alive(scene),
        queues::accept(scene),
        queues::syn(scene),
        server::capacity(scene),
    ]
    .into_iter()
    .flatten()
    .collect();
    let worst = found.iter().map(|it| it.level).max();
    found.sort_by_key(|it| it.cause);
    if let (Some(first), Some(worst)) = (found.first_mut(), worst) {
        first.level = worst;
    }
    found
}

fn healthy(facts: &Facts<'_>) -> Diagnosis {
    let connections = facts.listeners.iter().map(|it| it.sources.connections);
    let connections: u64 = connections.sum();
    let listeners = facts.listeners.len();
    let mut evidence = Vec::new();
    let lost = facts.kernel.listen_overflows;
    if lost.total > 0 {
        evidence.push(format!(
            "{} handshakes have found a full accept queue since the machine started, none between the \
             samples: it happened before",
            lost.total
        ));
    }
    Diagnosis {
        level: Level::Healthy,
        cause: Cause::None,
        confidence: if facts.is_blind {
            Confidence::Medium
        } else {
            Confidence::High
        },
        listener: None,
        summary: format!("nothing is wrong: {connections} connections at {listeners} listeners"),
        evidence,
        advice: Vec::new(),
        avoid: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
