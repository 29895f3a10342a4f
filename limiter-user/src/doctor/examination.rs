//! From two samples, and what others say, to a report.

use std::{cmp::Reverse, collections::HashSet, io, net::SocketAddr};

use super::{
    counters,
    listeners::{self, Found},
    nginx,
    processes::{self, Seen},
    sample::Sample,
    verdict::{Facts, judge},
};
use crate::api::doctor::{
    Diagnosis, DoctorReport, LimitsReport, ListenerReport, ProcessReport, StubStatus,
};

/// Which listeners are of interest.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// On these ports; none: on every port.
    pub ports: Vec<u16>,
    /// Of this process.
    pub pid: Option<u32>,
}

/// What is known from others than the kernel.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// By nginx.
    pub stub_status: Option<StubStatus>,
    /// By the daemon.
    pub limits: Option<LimitsReport>,
    /// What could not be asked, and why.
    pub unseen: Vec<String>,
}

/// Puts a report together. None: there is no such listener.
///
/// # Errors
///
/// If there is no /proc.
pub fn examine(
    before: &Sample,
    after: &Sample,
    wanted: &Wanted,
    said: Said,
) -> io::Result<Option<DoctorReport>> {
    let interval = after.begun.saturating_duration_since(before.begun);
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    let kernel = counters::kernel(&before.counters, &after.counters, interval_ms);
    let mut findings = listeners::compare(before, after, interval_ms, kernel.somaxconn);
    let ports = &wanted.ports;
    let is_wanted = |it: &Found| ports.is_empty() || ports.contains(&it.report.listen.port());
    findings.listeners.retain(is_wanted);
    let Seen {
        mut processes,
        hidden,
    } = processes::look(&mut findings)?;
    let listeners = findings.listeners.into_iter().map(|it| it.report);
    let of_wanted = |it: &ListenerReport| wanted.pid.is_none_or(|pid| it.pids.contains(&pid));
    let mut listeners: Vec<ListenerReport> = listeners.filter(of_wanted).collect();
    let is_everything = ports.is_empty() && wanted.pid.is_none();
    if listeners.is_empty() && !is_everything {
        return Ok(None);
    }
    let mut unseen = said.unseen;
    let is_blind = say_what_is_hidden(&listeners, &processes, hidden, &mut unseen);
    let mut nginx = nginx::look(&processes, &listeners, &mut unseen);
    match (said.stub_status, nginx.as_mut_slice()) {
        (Some(status), [only]) => nginx::tell(only, status),
        (Some(_), _) => unseen.push(format!(
            "which nginx --stub-status is about: there are {} here; choose one with --listen or --pid",
            nginx.len()
        )),
        (None, _) => {}
    }
    let (verdict, also) = judge(&Facts {
        kernel: &kernel,
        listeners: &listeners,
        processes: &processes,
        nginx: &nginx,
        limits: said.limits.as_ref(),
        is_blind,
        is_everything,
    });
    sort(&mut listeners, &mut processes, &verdict, &also);
    Ok(Some(DoctorReport {
        time: jiff::Timestamp::now(),
        interval_ms,
        verdict,
        also,
        kernel,
        listeners,
        processes,
        nginx,
        limits: said.limits,
        unseen,
    }))
}

/// Whether something is missing. Of hidden processes that have nothing to do with it nothing is said.
fn say_what_is_hidden(
    listeners: &[ListenerReport],
    processes: &[ProcessReport],
    hidden: u64,
    unseen: &mut Vec<String>,
) -> bool {
    let without_owner = listeners.iter().filter(|it| it.pids.is_empty()).count();
    let without_descriptors = processes.iter().filter(|it| it.descriptors.is_none());
    let without_descriptors = without_descriptors.count();
    if without_owner > 0 && hidden > 0 {
        unseen.push(format!(
            "whose {without_owner} of the listeners are, how many descriptors are left there, and whether \
             it is an nginx: {hidden} processes may not be looked at (run it as root, or with \
             CAP_SYS_PTRACE)"
        ));
    }
    if without_descriptors > 0 {
        unseen.push(format!(
            "how many descriptors {without_descriptors} of the processes have open (run it as root, or \
             with CAP_SYS_PTRACE)"
        ));
    }
    without_owner > 0 || without_descriptors > 0
}

/// What is in trouble comes first, then what has most connections.
fn sort(
    listeners: &mut [ListenerReport],
    processes: &mut Vec<ProcessReport>,
    verdict: &Diagnosis,
    also: &[Diagnosis],
) {
    let order: Vec<SocketAddr> = std::iter::once(verdict)
        .chain(also)
        .filter_map(|it| it.listener)
        .collect();
    listeners.sort_by_key(|it| {
        let place = order.iter().position(|one| *one == it.listen);
        (
            place.unwrap_or(usize::MAX),
            Reverse(it.sources.connections),
            it.listen,
        )
    });
    // Processes whose listeners were left out are nobody's business, old workers excepted: they have none.
    let pids: HashSet<u32> = listeners.iter().flat_map(|it| &it.pids).copied().collect();
    let masters = pids.iter().flat_map(|pid| processes::children(*pid));
    let children: HashSet<u32> = masters.collect();
    processes.retain(|it| pids.contains(&it.pid) || children.contains(&it.pid));
}
