//! Parts of the report that are there only if there is something to say.

use crate::api::doctor::{DoctorReport, ListenerReport, Rate, SourceReport};

/// States and sources of the listeners that a diagnosis is about, or of the only one.
pub(super) fn details(report: &DoctorReport) -> String {
    let is_meant = |one: &&ListenerReport| {
        let mut all = std::iter::once(&report.verdict).chain(&report.also);
        report.listeners.len() == 1 || all.any(|it| it.listener == Some(one.listen))
    };
    let listeners = report.listeners.iter().filter(is_meant);
    listeners.map(detail).collect()
}

fn detail(one: &ListenerReport) -> String {
    let states = one.states.named();
    let states = states.iter().filter(|(_, count)| *count > 0);
    let states: Vec<_> = states
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let mut text = format!(
        "{}: {}\n",
        one.listen,
        if states.is_empty() {
            "no connections".to_owned()
        } else {
            states.join(", ")
        }
    );
    if !one.sources.top_clients.is_empty() {
        text.push_str(&format!("  clients   {}\n", list(&one.sources.top_clients)));
        text.push_str(&format!(
            "  networks  {}\n",
            list(&one.sources.top_networks)
        ));
    }
    for remark in &one.remarks {
        text.push_str(&format!("  note      {remark}\n"));
    }
    text
}

fn list(sources: &[SourceReport]) -> String {
    let sources: Vec<_> = sources
        .iter()
        .map(|it| format!("{} {} ({} %)", it.source, it.connections, it.percent))
        .collect();
    sources.join(", ")
}

pub(super) fn nginx(report: &DoctorReport) -> String {
    let mut text = String::new();
    for one in &report.nginx {
        let room = match (one.capacity, one.used_percent, one.worker_connections) {
            (Some(capacity), Some(percent), Some(each)) => format!(
                ", room for {capacity} ({percent} % used; worker_connections {each}{})",
                if one.proxies == Some(true) {
                    ", two for each client"
                } else {
                    ""
                }
            ),
            _ => String::new(),
        };
        let old = if one.old_workers > 0 {
            format!(" and {} from before a reload", one.old_workers)
        } else {
            String::new()
        };
        text.push_str(&format!(
            "nginx {}: {} workers{old}, {} clients{room}\n",
            one.pid, one.workers, one.clients
        ));
        if let Some(status) = &one.stub_status {
            text.push_str(&format!(
                "  Reading {}, Writing {}, Waiting {}; {:.1} accepted and {:.1} dropped per second\n",
                status.reading,
                status.writing,
                status.waiting,
                status.accepts_per_s,
                status.dropped_per_s
            ));
        }
    }
    text
}

pub(super) fn limits(report: &DoctorReport) -> String {
    let mut text = String::new();
    for zone in report.limits.iter().flat_map(|it| &it.zones) {
        text.push_str(&format!(
            "zone {}: {} of {} keys ({} %), {} attempts refused\n",
            zone.zone, zone.keys, zone.capacity, zone.used_percent, zone.rejected
        ));
        for key in &zone.at_limit {
            text.push_str(&format!(
                "  at its limit  {} with {} of {}, {} refused\n",
                key.key, key.connections, key.limit, key.rejected
            ));
        }
    }
    text
}

pub(super) fn kernel(report: &DoctorReport) -> String {
    let kernel = &report.kernel;
    let rates: [(&str, &Rate); 5] = [
        ("ListenOverflows", &kernel.listen_overflows),
        ("ListenDrops", &kernel.listen_drops),
        ("TCPReqQFullDrop", &kernel.syn_queue_drops),
        ("TCPReqQFullDoCookies", &kernel.syn_queue_cookies),
        ("SyncookiesSent", &kernel.syncookies_sent),
    ];
    let rates = rates.iter().filter(|(_, rate)| rate.total > 0);
    let mut words: Vec<_> = rates
        .map(|(name, rate)| format!("{name} {:.1}/s ({} in all)", rate.per_s, rate.total))
        .collect();
    let settings = [
        ("somaxconn", kernel.somaxconn),
        ("tcp_max_syn_backlog", kernel.tcp_max_syn_backlog),
        ("tcp_syncookies", kernel.tcp_syncookies),
    ];
    let settings = settings.iter();
    words.extend(settings.filter_map(|(name, value)| Some(format!("{name} {}", (*value)?))));
    format!("kernel: {}\n", words.join(", "))
}

pub(super) fn unseen(report: &DoctorReport) -> String {
    let unseen = report.unseen.iter();
    unseen.map(|it| format!("not seen: {it}\n")).collect()
}
