//! Who has the listeners, and how many descriptors they have left.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs, io,
    net::SocketAddr,
};

use super::listeners::{Findings, Outgoing};
use crate::{
    api::doctor::{ProcessReport, UpstreamReport, WorkerRole},
    kernel::Owners,
};

/// Other servers that are named of a process.
const NAMED_UPSTREAMS: usize = 5;
/// Connections to other servers whose owners are looked for.
const MOST_OUTGOING: usize = 65_536;

/// What was seen of the processes.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Those that have a listener, by number.
    pub processes: Vec<ProcessReport>,
    /// Processes that we may not look at: they may have any of the sockets.
    pub hidden: u64,
}

/// Looks for those that have the listeners, and tells the listeners.
///
/// # Errors
///
/// If there is no /proc.
pub fn look(findings: &mut Findings) -> io::Result<Seen> {
    let outgoing = findings.outgoing.iter().take(MOST_OUTGOING);
    let outgoing: Vec<&Outgoing> = outgoing.filter(|it| it.inode != 0).collect();
    let listening = findings.listeners.iter().flat_map(|it| &it.inodes).copied();
    let inodes: HashSet<u32> = listening
        .chain(outgoing.iter().map(|it| it.inode))
        .collect();
    let owners = Owners::find(&inodes)?;
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    for found in &mut findings.listeners {
        let of_it = found.inodes.iter().flat_map(|inode| owners.of(*inode));
        let pids: BTreeSet<u32> = of_it
            .map(|owner| {
                names.insert(owner.pid, owner.name.clone());
                owner.pid
            })
            .collect();
        found.report.pids = pids.into_iter().collect();
    }
    // Workers that are about to end listen no more.
    let masters: Vec<u32> = names
        .keys()
        .copied()
        .filter(|pid| role(*pid) == Some(WorkerRole::Master))
        .collect();
    for child in masters.into_iter().flat_map(children) {
        if role(child).is_some() {
            names.entry(child).or_insert_with(|| name(child));
        }
    }
    let mut upstreams: HashMap<u32, HashMap<SocketAddr, u64>> = HashMap::new();
    for one in outgoing {
        for owner in owners.of(one.inode) {
            let of_process = upstreams.entry(owner.pid).or_default();
            *of_process.entry(one.remote).or_default() += 1;
        }
    }
    let processes = names.into_iter().map(|(pid, name)| ProcessReport {
        role: role(pid),
        descriptors: descriptors(pid),
        descriptor_limit: descriptor_limit(pid),
        upstreams: ranked(upstreams.remove(&pid).unwrap_or_default()),
        pid,
        name,
    });
    Ok(Seen {
        processes: processes.collect(),
        hidden: owners.hidden,
    })
}

fn ranked(upstreams: HashMap<SocketAddr, u64>) -> Vec<UpstreamReport> {
    let upstreams = upstreams.into_iter();
    let mut upstreams: Vec<_> = upstreams
        .map(|(address, waiting)| UpstreamReport { address, waiting })
        .collect();
    upstreams.sort_unstable_by_key(|it| (std::cmp::Reverse(it.waiting), it.address));
    upstreams.truncate(NAMED_UPSTREAMS);
    upstreams
}

/// What a process calls itself: nginx and Angie write their role over their arguments.
pub(super) fn title(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = bytes.split(|byte| *byte == 0);
    let words: Vec<_> = words
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    Some(words.join(" "))
}

fn role(pid: u32) -> Option<WorkerRole> {
    role_of(&title(pid)?)
}

fn role_of(title: &str) -> Option<WorkerRole> {
    let (program, role) = title.split_once(": ")?;
    if !matches!(program, "nginx" | "angie") {
        return None;
    }
    if role.starts_with("master process") {
        Some(WorkerRole::Master)
    } else if role == "worker process is shutting down" {
        Some(WorkerRole::OldWorker)
    } else if role.starts_with("worker process") {
        Some(WorkerRole::Worker)
    } else {
        None
    }
}

/// Direct children (CONFIG_PROC_CHILDREN).
pub(super) fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let text = text.unwrap_or_default();
    let words = text.split_ascii_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

fn name(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

/// How many a process has open. None: we may not look.
pub(crate) fn descriptors(pid: u32) -> Option<u64> {
    let count = |directory: &str| fs::read_dir(format!("/proc/{pid}/{directory}"));
    // The second one asks for less: see `kernel/owners.rs`.
    let entries = count("fd").or_else(|_| count("fdinfo")).ok()?;
    Some(entries.count() as u64)
}

/// How many a process may open. None: any number, or it is gone.
pub(crate) fn descriptor_limit(pid: u32) -> Option<u64> {
    soft_limit(&fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
}

/// None: without a limit.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_writes_its_role_over_its_arguments() {
        for (title, role) in [
            (
                "nginx: master process /usr/sbin/nginx -g daemon on;",
                Some(WorkerRole::Master),
            ),
            ("nginx: worker process", Some(WorkerRole::Worker)),
            (
                "nginx: worker process is shutting down",
                Some(WorkerRole::OldWorker),
            ),
            ("nginx: cache manager process", None),
            ("angie: worker process #1", Some(WorkerRole::Worker)),
            ("sshd: worker process", None),
            ("nginx", None),
        ] {
            assert_eq!(role_of(title), role, "{title}");
        }
    }

    #[test]
    fn the_soft_limit_is_the_one_that_holds() {
        let limits = "\
Limit                     Soft Limit           Hard Limit           Units
Max processes             100                  200                  processes
Max open files            1024                 524288               files
";
        assert_eq!(soft_limit(limits), Some(1_024));
        assert_eq!(
            soft_limit("Max open files  unlimited unlimited files"),
            None
        );
        let own = std::process::id();
        let (used, limit) = (descriptors(own), descriptor_limit(own));
        assert!(used >= Some(3) && used < limit, "{used:?} of {limit:?}");
    }
}
