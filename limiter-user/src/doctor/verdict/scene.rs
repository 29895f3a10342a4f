//! A listener, and what belongs to it.

use super::Facts;
use crate::api::doctor::{
    KernelReport, Level, ListenerReport, NginxReport, ProcessReport, UpstreamReport,
};

/// Per cent of what there is room for: from here on it is a warning ...
pub(super) const NEAR: u64 = 80;
/// ... and from here on there is no room left to speak of.
pub(super) const FULL: u64 = 95;
/// Fewer connections are no crowd, whatever they do.
pub(super) const CROWD: u64 = 20;

pub(super) struct Scene<'a> {
    pub(super) listener: &'a ListenerReport,
    pub(super) kernel: &'a KernelReport,
    /// The processes that have it, and old workers of the same nginx.
    pub(super) processes: Vec<&'a ProcessReport>,
    pub(super) nginx: Option<&'a NginxReport>,
    /// Whether the queue of another listener is full.
    pub(super) is_another_full: bool,
}

impl<'a> Scene<'a> {
    pub(super) fn new(facts: &Facts<'a>, listener: &'a ListenerReport) -> Self {
        let has = |pid: &u32| listener.pids.contains(pid);
        let processes = facts.processes.iter().filter(|it| has(&it.pid));
        let mut others = facts
            .listeners
            .iter()
            .filter(|it| it.listen != listener.listen);
        Self {
            listener,
            kernel: facts.kernel,
            processes: processes.collect(),
            nginx: facts.nginx.iter().find(|it| has(&it.pid)),
            is_another_full: others.any(is_full),
        }
    }

    /// Whether clients are being lost here, or the next one will be.
    pub(super) fn loses(&self) -> bool {
        is_full(self.listener) || self.overflows()
    }

    /// Whether handshakes found the queue full between the samples, as far as can be told: the counter is
    /// that of the namespace, and a listener counts what it drops for whatever reason.
    pub(super) fn overflows(&self) -> bool {
        self.kernel.listen_overflows.per_s > 0.0
            && self.listener.queue.drops.per_s > 0.0
            && !self.is_another_full
    }

    /// Per cent of descriptors or of `worker_connections` in use, whichever is nearer to its end, and a
    /// sentence about it.
    pub(super) fn pressure(&self) -> Option<(u64, String)> {
        let descriptors = self.processes.iter().filter_map(|process| {
            let percent = process.descriptor_percent()?;
            Some((percent, descriptors(process)))
        });
        let nginx = self.nginx.and_then(|nginx| {
            let sentence = format!(
                "nginx has {} clients and room for {}: {} workers, worker_connections {}{}",
                nginx.clients,
                nginx.capacity?,
                nginx.workers,
                nginx.worker_connections?,
                if nginx.proxies? {
                    ", two for each client because it proxies"
                } else {
                    ""
                },
            );
            Some((nginx.used_percent?, sentence))
        });
        descriptors.chain(nginx).max_by_key(|it| it.0)
    }

    pub(super) fn pressure_percent(&self) -> u64 {
        self.pressure().map_or(0, |it| it.0)
    }

    /// The other server that most of the waiting requests are behind, if there is one: connections of the
    /// same processes on which they have the last word.
    pub(super) fn upstream(&self) -> Option<&'a UpstreamReport> {
        let upstreams = self.processes.iter().flat_map(|it| &it.upstreams);
        let behind: u64 = upstreams.clone().map(|it| it.waiting).sum();
        let slowest = upstreams.max_by_key(|it| it.waiting);
        slowest.filter(|_| behind * 2 >= self.listener.activity.waiting)
    }

    /// Of the connections that seem to wait for the server, those that wait for the rest of a request. One
    /// that is not complete looks like one that is; but nginx tells how many it reads, and answers at
    /// once what it passes on to nobody.
    pub(super) fn incomplete(&self) -> u64 {
        let waiting = self.listener.activity.waiting;
        match self.nginx {
            Some(nginx) if nginx.proxies == Some(false) && self.upstream().is_none() => waiting,
            Some(nginx) => nginx.stub_status.map_or(0, |it| it.reading.min(waiting)),
            None => 0,
        }
    }

    /// How bad it is that something holds connections here.
    pub(super) fn level(&self) -> Level {
        if self.loses() || self.pressure_percent() >= FULL {
            Level::Critical
        } else {
            Level::Warning
        }
    }

    /// `nginx (process 12)`, or what is known instead.
    pub(super) fn owner(&self) -> String {
        match self.processes.as_slice() {
            [] => "the application".to_owned(),
            [one] => format!("{} (process {})", shown(&one.name), one.pid),
            [first, ..] => format!(
                "{} ({} processes, one is {})",
                shown(&first.name),
                self.processes.len(),
                first.pid
            ),
        }
    }

    /// What the accepted connections do.
    pub(super) fn activity(&self) -> String {
        let activity = &self.listener.activity;
        let parts = [
            (activity.busy, "busy"),
            (activity.new, "new"),
            (activity.idle, "idle after an answer"),
            (activity.waiting, "waiting for the server"),
            (activity.slow, "slow"),
            (activity.silent, "silent from the beginning"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        format!(
            "{} accepted connections: {}",
            activity.accepted(),
            parts.join(", ")
        )
    }

    /// Who holds most.
    pub(super) fn top_source(&self) -> Option<String> {
        let sources = &self.listener.sources;
        let top = sources.top_clients.first()?;
        Some(format!(
            "{} holds {} of {} connections ({} %), of {} clients in {} networks",
            top.source,
            top.connections,
            sources.connections,
            top.percent,
            sources.clients,
            sources.networks
        ))
    }

    /// What else there is to say about room, if it is getting short.
    pub(super) fn shortage(&self) -> Option<String> {
        let (percent, sentence) = self.pressure()?;
        (percent >= 50).then_some(sentence)
    }

    /// That clients are lost, if they are.
    pub(super) fn loss(&self) -> Option<String> {
        let overflows = self.kernel.listen_overflows.per_s;
        if self.overflows() {
            Some(format!(
                "{overflows:.1} handshakes per second find the accept queue full"
            ))
        } else {
            is_full(self.listener).then(|| {
                let queue = &self.listener.queue;
                format!(
                    "the accept queue is full: {} wait, it is made for {}",
                    queue.depth, queue.limit
                )
            })
        }
    }
}

/// In both samples: a burst that passes fills it for a moment.
pub(super) fn is_full(listener: &ListenerReport) -> bool {
    let queue = &listener.queue;
    queue.depth.min(queue.depth_before) >= queue.limit.max(1)
}

/// How many a process has.
pub(super) fn descriptors(process: &ProcessReport) -> String {
    let number = |it: Option<u64>| it.map_or_else(|| "?".to_owned(), |it| it.to_string());
    format!(
        "{} (process {}) has {} of {} descriptors open",
        shown(&process.name),
        process.pid,
        number(process.descriptors),
        number(process.descriptor_limit)
    )
}

/// A process may call itself anything.
fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}
