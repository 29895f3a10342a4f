//! What becomes of the limits when the daemon ends, and when another one begins; when cgroups come
//! and go.

mod again;
mod appear;
mod damage;
mod ends;
mod kills;
mod lingering;
mod load;
mod two_sets;
mod unpinned;
mod upgrade;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tests::{Limiter, World, cgroup::Cgroup, settle};

use crate::{CLIENT, SERVER, ZONE};

const LIMIT_3: [&str; 4] = ["--listen", "8080", "--limit", "3"];

/// Where its kernel part is pinned.
fn place(limiter: &Limiter) -> PathBuf {
    limiter.status().pinned.expect("a place").into()
}

/// Where a second set of the same instance is made.
fn beside(place: &Path) -> PathBuf {
    let mut beside = place.as_os_str().to_owned();
    beside.push("+new");
    beside.into()
}

/// The cgroups of the policy, as the daemon says: what is attached, or what it waits for.
fn cgroups(limiter: &Limiter) -> Vec<String> {
    let attached = limiter.status().attached.into_iter();
    attached
        .filter(|it| it.kind == "cgroup" && it.programs != ["limiter_wait"])
        .map(|it| match it.waiting {
            Some(why) => {
                assert!(it.programs.is_empty(), "{why}");
                format!("{}: {why}", it.target)
            }
            None => format!("{}: {}", it.target, it.programs.join(" ")),
        })
        .collect()
}

/// Names of the links of counting and refusing programs that are pinned.
fn links(limiter: &Limiter) -> Vec<String> {
    let pinned = limiter.status().pinned.expect("a bpf filesystem");
    let links = fs::read_dir(format!("{pinned}/links")).expect("list the links");
    let names = links.map(|link| link.expect("a link").file_name().into_string());
    let mut names: Vec<_> = names.map(|name| name.expect("letters")).collect();
    names.retain(|name| name.starts_with("limiter_count") || name.starts_with("limiter_enforce"));
    names
}

/// How many of them are of the cgroup with this id.
fn links_at(limiter: &Limiter, cgroup: u64) -> usize {
    let end = format!("-{cgroup}");
    let links = links(limiter);
    links.iter().filter(|link| link.ends_with(&end)).count()
}

/// Waits until the daemon waits for this cgroup.
#[track_caller]
fn is_missing(limiter: &Limiter, cgroup: &Cgroup) {
    let line = format!("{}: no such cgroup", cgroup.path().display());
    settle("missing", true, || cgroups(limiter).contains(&line));
}

/// Waits until both programs are attached to the cgroup that has this path now.
#[track_caller]
fn is_attached(limiter: &Limiter, cgroup: &Cgroup) {
    let place = cgroup.path().display();
    let line = format!("{place}: limiter_count limiter_enforce");
    settle("attached", true, || {
        cgroups(limiter).contains(&line) && links_at(limiter, cgroup.id()) == 2
    });
}

/// Three connections of the client get into the cgroup of the world, a fourth does not.
#[track_caller]
fn must_be_attached(limiter: &Limiter, world: &World) {
    is_attached(limiter, &world.cgroup);
    assert_eq!(limiter.zone(ZONE).connections, 0);
    let server = world.serve(&[SERVER]);
    let open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    server.kill();
}
