//! What `limiter doctor` found.

use super::{
    colour::Colour,
    table::{Side, Table},
};
use crate::api::doctor::{
    Cause, Diagnosis, DoctorReport, Level, ListenerReport, ProcessReport, Rate, WorkerRole,
};

mod parts;

/// The verdict first, then what it is made of.
pub fn report(report: &DoctorReport, colour: Colour) -> String {
    let mut text = diagnosis(&report.verdict, colour);
    for also in &report.also {
        text.push('\n');
        text.push_str(&diagnosis(also, colour));
    }
    for part in [
        listeners(report),
        parts::details(report),
        processes(&report.processes),
        parts::nginx(report),
        parts::limits(report),
        parts::kernel(report),
        parts::unseen(report),
    ] {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

/// The same, with what was not there before at the margin.
pub fn changes(before: Option<&str>, now: &str, colour: Colour) -> String {
    let Some(before) = before else {
        return now.to_owned();
    };
    let known: Vec<&str> = before.lines().collect();
    let mut text = String::new();
    for line in now.lines() {
        if line.is_empty() || known.contains(&line) {
            text.push_str(line);
        } else {
            text.push_str(&colour.strong(&format!("{line}  *")));
        }
        text.push('\n');
    }
    text
}

fn diagnosis(one: &Diagnosis, colour: Colour) -> String {
    let level = one.level.as_str().to_uppercase();
    let mut text = format!(
        "{} {}",
        colour.of_level(one.level, &level),
        colour.strong(&one.summary)
    );
    if one.level != Level::Healthy || one.cause != Cause::None {
        text.push_str(&format!(" (confidence: {})", one.confidence.as_str()));
    }
    text.push('\n');
    for evidence in &one.evidence {
        text.push_str(&format!("  seen    {evidence}\n"));
    }
    for advice in &one.advice {
        text.push_str(&format!("  do      {}\n", advice.text));
        if let (Some(place), Some(line)) = (&advice.place, &advice.line) {
            text.push_str(&format!("          {place}: {line}\n"));
        }
    }
    for avoid in &one.avoid {
        let what = avoid.strip_prefix("do not ").unwrap_or(avoid);
        text.push_str(&format!("  do not  {what}\n"));
    }
    text
}

fn listeners(report: &DoctorReport) -> String {
    if report.listeners.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("LISTEN", Side::Left),
        ("QUEUE", Side::Right),
        ("DROPS/S", Side::Right),
        ("OPEN", Side::Right),
        ("BUSY", Side::Right),
        ("IDLE", Side::Right),
        ("WAITING", Side::Right),
        ("SLOW", Side::Right),
        ("CLOSE_WAIT", Side::Right),
        ("CLIENTS", Side::Right),
        ("TOP CLIENT", Side::Left),
        ("PROCESS", Side::Left),
    ]);
    for one in &report.listeners {
        table.row(row(one, &report.processes));
    }
    table.render()
}

fn row(one: &ListenerReport, processes: &[ProcessReport]) -> [String; 12] {
    let activity = &one.activity;
    let top = one.sources.top_clients.first();
    let owners = one.pids.iter();
    let mut owners = owners.filter_map(|pid| processes.iter().find(|it| it.pid == *pid));
    let owner = owners.next().map_or_else(
        || "-".to_owned(),
        |it| format!("{} {}", it.pid, it.name.escape_debug()),
    );
    let more = owners.count();
    [
        one.listen.to_string(),
        format!("{}/{}", one.queue.depth, one.queue.limit),
        per_s(&one.queue.drops),
        one.states.established.to_string(),
        (activity.busy + activity.new).to_string(),
        activity.idle.to_string(),
        activity.waiting.to_string(),
        (activity.slow + activity.silent).to_string(),
        one.states.close_wait.to_string(),
        one.sources.clients.to_string(),
        top.map_or_else(
            || "-".to_owned(),
            |it| format!("{} {} %", it.source, it.percent),
        ),
        if more > 0 {
            format!("{owner} and {more} more")
        } else {
            owner
        },
    ]
}

fn processes(processes: &[ProcessReport]) -> String {
    if processes.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("PROCESS", Side::Right),
        ("NAME", Side::Left),
        ("ROLE", Side::Left),
        ("DESCRIPTORS", Side::Right),
        ("WAITS FOR", Side::Left),
    ]);
    let number = |it: Option<u64>| it.map_or_else(|| "?".to_owned(), |it| it.to_string());
    for one in processes {
        let upstreams = one.upstreams.iter();
        let upstreams: Vec<_> = upstreams
            .map(|it| format!("{} ({} requests)", it.address, it.waiting))
            .collect();
        table.row([
            one.pid.to_string(),
            one.name.escape_debug().to_string(),
            match one.role {
                Some(WorkerRole::Master) => "master",
                Some(WorkerRole::Worker) => "worker",
                Some(WorkerRole::OldWorker) => "old worker",
                None => "-",
            }
            .to_owned(),
            format!(
                "{}/{}",
                number(one.descriptors),
                number(one.descriptor_limit)
            ),
            if upstreams.is_empty() {
                "-".to_owned()
            } else {
                upstreams.join(", ")
            },
        ]);
    }
    table.render()
}

fn per_s(rate: &Rate) -> String {
    format!("{:.1}", rate.per_s)
}

#[cfg(test)]
mod tests;
