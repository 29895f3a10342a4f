//! Whatever is in a configuration: a policy, which survives being written and read again, or one
//! message about a place in it. Never a panic, and never more work and memory than the text is
//! worth.
//!
//! `LIMITER_FUZZ_SEED=N` repeats a run, `LIMITER_FUZZ_INPUTS=N` makes it longer or shorter.

mod bounds;
mod check;
mod corpus;
mod endless;
mod grammar;
mod memory;
mod mutate;
mod random;

use std::{fs, path::Path};

use check::{Outcome, Place};
use nix::{sys::stat::Mode, unistd::mkfifo};
use random::{Random, any_seed, setting};

/// Unless told otherwise.
const INPUTS: u64 = 20_000;

#[test]
fn every_input_comes_to_a_policy_or_a_message() {
    let seed = setting("LIMITER_FUZZ_SEED").unwrap_or_else(any_seed);
    let inputs = setting("LIMITER_FUZZ_INPUTS").unwrap_or(INPUTS);
    eprintln!("LIMITER_FUZZ_SEED={seed:#x} LIMITER_FUZZ_INPUTS={inputs}");
    let directory = tempfile::tempdir().expect("a directory");
    write_includes(directory.path());
    let mut place = Place::new(directory.path(), "fuzz.conf");
    let corpus = corpus::corpus();
    assert!(corpus.len() > 100, "{} configurations", corpus.len());
    for text in &corpus {
        place.check(text);
    }

    let mut random = Random::new(seed);
    let (mut taken, mut refused) = (0, 0);
    for number in 0..inputs {
        let text = input(&mut random, &corpus);
        let told = Told {
            number,
            text: &text,
        };
        match place.check(&text) {
            Outcome::Taken => taken += 1,
            Outcome::Refused(_) => refused += 1,
        }
        drop(told);
    }
    eprintln!(
        "{taken} inputs taken, {refused} refused, and {} of the corpus",
        corpus.len()
    );
    assert!(taken * 10 > inputs && refused * 10 > inputs);
}

/// Made by the grammar or written by somebody, and changed or not.
fn input(random: &mut Random, corpus: &[String]) -> String {
    let one = |random: &mut Random| match random.once_in(2) {
        true => grammar::configuration(random),
        false => corpus[random.below(corpus.len())].clone(),
    };
    let text = one(random);
    if random.once_in(2) {
        return text;
    }
    let other = one(random);
    mutate::mutated(random, &text, &other)
}

/// What inputs include.
fn write_includes(directory: &Path) {
    for folder in ["conf.d", "sub"] {
        fs::create_dir(directory.join(folder)).expect("a directory");
    }
    for (name, text) in [
        ("fuzz.conf", ""),
        (
            "zone.conf",
            "limit_conn_zone $remote_addr zone=included:1m;\n",
        ),
        ("limit.conf", "limit_conn_dry_run on; # and nothing else\n"),
        ("conf.d/a.conf", "include ../zone.conf;"),
        ("conf.d/b.conf", "server { server_name b; listen 60000; }"),
        ("three.conf", "include one.conf;"),
        ("one.conf", "include two.conf;"),
        ("two.conf", "include three.conf;"),
        ("z.conf", "\"no end"),
    ] {
        fs::write(directory.join(name), text).expect("a file");
    }
    mkfifo(&directory.join("fifo.conf"), Mode::S_IRWXU).expect("a pipe with a name");
}

/// Prints the input if something about it panics.
struct Told<'a> {
    number: u64,
    text: &'a str,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("input {}: {:?}", self.number, self.text);
        }
    }
}
