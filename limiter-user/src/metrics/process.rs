//! The daemon and its programs.

use prometheus::proto::MetricFamily;

use super::{
    Snapshot,
    family::{Sample, counter, flag, gauge, one},
};

pub(super) fn families(snapshot: &Snapshot) -> Vec<MetricFamily> {
    [
        daemon(snapshot),
        events(snapshot),
        programs(snapshot),
        usage(snapshot),
    ]
    .concat()
}

fn daemon(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let status = &snapshot.status;
    let version = vec![("version", status.version.clone())];
    let families = [
        gauge(
            "limiter_build_info",
            "The version of the daemon.",
            vec![(version, 1.0)],
        ),
        gauge(
            "limiter_ready_time_seconds",
            "Unix time at which the daemon became ready.",
            one(snapshot.ready_time_seconds),
        ),
        gauge(
            "limiter_pinned",
            "1 if the kernel goes on counting and refusing when the daemon is killed.",
            one(flag(status.pinned.is_some())),
        ),
        gauge(
            "limiter_waiting_connections",
            "Refused connections that were accepted and wait to be closed.",
            one(snapshot.waiting as f64),
        ),
        counter(
            "limiter_audits_total",
            "Passes in which counts were compared with the connections that are open.",
            one(snapshot.audits.count as f64),
        ),
        gauge(
            "limiter_audit_duration_seconds",
            "How long the last of them took.",
            one(snapshot.audits.last_seconds),
        ),
    ];
    families.into_iter().flatten().collect()
}

fn events(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let (events, packets) = (&snapshot.status.events, &snapshot.status.packets);
    let reasons = [
        ("not_ip", packets.not_ip),
        ("not_tcp", packets.not_tcp),
        ("fragment", packets.fragment),
        ("truncated", packets.truncated),
        ("too_many_tags", packets.too_many_tags),
        ("too_many_extensions", packets.too_many_extensions),
    ];
    let families = [
        counter(
            "limiter_events_sent_total",
            "Events that the programs have sent to the daemon.",
            one(events.sent as f64),
        ),
        counter(
            "limiter_events_lost_total",
            "Events that were lost because the daemon did not keep up.",
            one(events.lost as f64),
        ),
        counter(
            "limiter_events_suppressed_total",
            "Events that were held back because there were too many of one key or of all.",
            one(events.suppressed as f64),
        ),
        gauge(
            "limiter_event_subscribers",
            "Subscribers to the stream of events.",
            one(snapshot.subscribers as f64),
        ),
        counter(
            "limiter_packets_not_understood_total",
            "Packets that the programs let pass because they did not understand them.",
            reasons.map(|(reason, count)| (vec![("reason", reason.to_owned())], count as f64)),
        ),
    ];
    families.into_iter().flatten().collect()
}

fn programs(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let programs = snapshot.programs.as_deref().unwrap_or_default();
    let of = |program: &str| vec![("program", program.to_owned())];
    let counts = programs.iter().map(|it| (of(it.program), it.count as f64));
    let times = programs.iter().map(|it| (of(it.program), it.seconds));
    let families = [
        counter(
            "limiter_program_runs_total",
            "Runs of an eBPF program that were measured.",
            counts,
        ),
        counter(
            "limiter_program_run_seconds_total",
            "Time that these runs took.",
            times,
        ),
    ];
    families.into_iter().flatten().collect()
}

/// The names are those that all exporters use.
fn usage(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let Some(usage) = &snapshot.usage else {
        return Vec::new();
    };
    let plain = |value: u64| -> Vec<Sample> { one(value as f64) };
    let families = [
        counter(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            one(usage.cpu_seconds),
        ),
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            plain(usage.virtual_bytes),
        ),
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            plain(usage.resident_bytes),
        ),
        gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            plain(usage.open_fds),
        ),
        gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            plain(usage.max_fds),
        ),
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            one(usage.start_time_seconds),
        ),
    ];
    families.into_iter().flatten().collect()
}
