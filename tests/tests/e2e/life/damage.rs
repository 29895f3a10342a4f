//! What is pinned is not as a daemon has left it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;
use tests::{
    Limiter, World, bpf,
    limiter::cli,
    pinned::{Pinned, pin},
    programs::Programs,
    settle,
};

use super::{LIMIT_3, beside, place};
use crate::{CLIENT, SERVER, ZONE};

const RECORD_BYTES: usize = limiter_common::names::RECORD_BYTES;

/// A name, what is done, and what the next daemon says.
type Case = (&'static str, fn(&Path), &'static str);

const NO_RECORD: &str = "it has no record that can be read";

#[test]
fn whatever_is_damaged_is_counted_anew_and_nothing_is_misread() {
    let cases: [Case; 13] = [
        ("no record", |at| remove(&at.join("maps/RECORD")), NO_RECORD),
        (
            "an empty record",
            |at| record(at, |_| String::new()),
            NO_RECORD,
        ),
        (
            "half a record",
            |at| record(at, |text| text[..text.len() / 2].to_owned()),
            NO_RECORD,
        ),
        (
            "a record longer than its map",
            |at| {
                let map = Pinned::open(&at.join("maps/RECORD"));
                map.set_value(vec![0xff; RECORD_BYTES]);
            },
            NO_RECORD,
        ),
        (
            "a smaller map for the record",
            |at| other_map(&at.join("maps/RECORD")),
            NO_RECORD,
        ),
        (
            "a link for the record",
            |at| {
                remove(&at.join("maps/RECORD"));
                let link = link(at, "limiter_enforce");
                fs::rename(link, at.join("maps/RECORD")).expect("move a link");
            },
            NO_RECORD,
        ),
        (
            "a zone that cannot be",
            |at| record(at, |text| replace(text, r#""index":0"#, r#""index":60000"#)),
            "its record names what cannot be",
        ),
        (
            "a zone that is not there",
            |at| record(at, |text| replace(text, r#"[{"index":0"#, r#"[{"index":7"#)),
            "its zones are not those of its record",
        ),
        (
            "no tokens",
            |at| remove(&at.join("maps/TOKENS")),
            "its map TOKENS is missing, or is another one",
        ),
        (
            "other tokens",
            |at| other_map(&at.join("maps/TOKENS")),
            "its map TOKENS is missing, or is another one",
        ),
        (
            "nobody counts",
            |at| remove(&link(at, "limiter_count")),
            "its limiter_count is not attached",
        ),
        (
            "a map for a link",
            |at| other_map(&link(at, "limiter_enforce")),
            "its limiter_enforce is not attached",
        ),
        (
            "the links gone with their directory",
            |at| {
                remove(&link(at, "limiter_count"));
                remove(&link(at, "limiter_enforce"));
                fs::remove_dir_all(at.join("links")).expect("remove a directory");
            },
            "its limiter_count is not attached",
        ),
    ];
    for (name, damage, expected) in cases {
        let world = World::new();
        let server = world.serve(&[SERVER]);
        let limiter = Limiter::start(&world, &LIMIT_3);
        let mut open = world.open_many(CLIENT, server.address(), 3);
        let place = place(&limiter);
        limiter.end(Signal::SIGKILL);
        damage(&place);
        // Closed while perhaps nobody counts.
        drop(open.pop());
        settle("open", 2, || world.open_at(crate::PORT));
        let limiter = Limiter::start(&world, &LIMIT_3);
        limiter.must_say(expected);
        assert_eq!(limiter.zone(ZONE).connections, 2, "{name}");
        open.push(world.open(CLIENT, server.address()));
        world.must_be_refused(CLIENT, server.address());
        settle(name, Programs::ONE_LIMITER, || {
            Programs::attached(world.cgroup.path())
        });
        drop(open);
        settle(name, 0, || limiter.zone(ZONE).connections);
        limiter.must_be_exact(ZONE);
        limiter.end(Signal::SIGTERM);
        assert!(!place.exists(), "{name}");
    }
}

#[test]
fn what_does_not_belong_there_is_in_nobodys_way_and_goes_with_the_rest() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_3);
    let _open = world.open_many(CLIENT, server.address(), 3);
    let place = place(&limiter);
    limiter.end(Signal::SIGKILL);
    for part in ["maps", "links"] {
        let part = place.join(part);
        fs::create_dir(part.join("directory")).expect("make a directory");
        symlink("/nowhere", part.join("symlink")).expect("make a symbolic link");
        pin(&bpf::word().expect("a map"), &part.join("map"));
    }
    let limiter = Limiter::start(&world, &LIMIT_3);
    limiter.must_say("took over");
    assert_eq!(limiter.zone(ZONE).connections, 3);
    limiter.end(Signal::SIGKILL);
    let detached = cli(&world.control(), &["detach"]);
    assert_eq!(detached.code, Some(0), "{}", detached.stderr);
    assert!(!place.exists());
    let _fourth = world.open(CLIENT, server.address());
}

#[test]
fn a_second_set_is_put_in_place_if_the_first_was_about_to_go() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_3);
    let open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    let place = place(&limiter);
    limiter.end(Signal::SIGKILL);
    // As if killed when the first set was removed, and the second one not renamed yet.
    fs::rename(&place, beside(&place)).expect("rename");
    let limiter = Limiter::start(&world, &LIMIT_3);
    limiter.must_say("took over");
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.passed, zone.rejected), (3, 3, 1));
    assert!(!beside(&place).exists());
    limiter.end(Signal::SIGKILL);
    // The same, with a part of the first set still there.
    fs::rename(&place, beside(&place)).expect("rename");
    fs::create_dir_all(place.join("maps")).expect("make a directory");
    pin(&bpf::word().expect("a map"), &place.join("maps/TOKENS"));
    // It can also be detached as it is.
    let detached = cli(&world.control(), &["detach"]);
    assert_eq!(detached.code, Some(0), "{}", detached.stderr);
    settle("programs", Programs::NONE, || {
        Programs::attached(world.cgroup.path())
    });
    assert!(!place.exists() && !beside(&place).exists());
    drop(open);
}

/// The link of a program at the cgroup.
fn link(at: &Path, program: &str) -> PathBuf {
    let links = fs::read_dir(at.join("links")).expect("the links");
    let mut links = links.map(|link| link.expect("a link").path());
    let of_program = |link: &PathBuf| {
        let name = link.file_name().expect("a name").to_string_lossy();
        name.starts_with(&format!("{program}-"))
    };
    links.find(of_program).expect("a link of the program")
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap_or_else(|e| panic!("remove {}: {e}", path.display()));
}

fn other_map(path: &Path) {
    remove(path);
    pin(&bpf::word().expect("a map"), path);
}

/// Edits the text of the record.
fn record(at: &Path, edit: fn(&str) -> String) {
    let map = Pinned::open(&at.join("maps/RECORD"));
    let value = map.value(RECORD_BYTES);
    let (length, text) = value.split_first_chunk().expect("a length");
    let text = &text[..u32::from_ne_bytes(*length) as usize];
    let text = edit(std::str::from_utf8(text).expect("text"));
    let length = u32::try_from(text.len()).expect("it was shorter than the map");
    let mut value = length.to_ne_bytes().to_vec();
    value.extend(text.as_bytes());
    value.resize(RECORD_BYTES, 0);
    map.set_value(value);
}

/// Like [`str::replace`], and there must be something to replace.
fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{text}");
    text.replace(from, to)
}
