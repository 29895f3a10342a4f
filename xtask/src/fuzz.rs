//! Fuzzing with libFuzzer, by the stable compiler: what cargo-fuzz would do is to set these flags.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;

use crate::command::{output, repository, run};

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Args {
    /// Targets; all of them, one after the other, if none is named
    #[arg(value_parser = PossibleValuesParser::new(TARGETS))]
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// Build in half the time what runs many times slower: to repeat the corpora, and a little more
    #[arg(long, conflicts_with = "keep")]
    brief: bool,
    /// Afterwards make the committed corpus of the inputs that cover most
    #[arg(long)]
    keep: bool,
}

/// Each is a file in fuzz/targets.
const TARGETS: [&str; 6] = ["packet", "config", "import", "control", "event", "record"];

/// What libFuzzer wants of LLVM: counters at every edge, a table of them, and operands of comparisons.
const INSTRUMENTED: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";

/// Builds the targets and runs them, beginning with their corpora.
pub fn run_task(args: &Args) -> Result<()> {
    let root = repository().join("fuzz");
    let profile = if args.brief { "brief" } else { "release" };
    let binaries = build(&root, profile)?;
    for target in TARGETS {
        if args.targets.is_empty() || args.targets.iter().any(|name| name == target) {
            fuzz(&root, &binaries.join(target), target, args)?;
        }
    }
    Ok(())
}

/// Returns where the executables are, built with a profile of fuzz/Cargo.toml.
fn build(root: &Path, profile: &str) -> Result<PathBuf> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("find the host in what rustc says of itself")?;
    let place = repository().join("target/fuzz");
    run(Command::new("cargo")
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &place)
        .env("RUSTFLAGS", INSTRUMENTED)
        // With a target named, build scripts and macros are built without the flags.
        .args(["build", "--locked", "--bins", "--target", host])
        .args(["--profile", profile]))?;
    Ok(place.join(host).join(profile))
}

fn fuzz(root: &Path, binary: &Path, target: &str, args: &Args) -> Result<()> {
    let corpus = root.join("corpus").join(target);
    let found = repository().join("target/fuzz/corpus").join(target);
    let failures = repository().join("target/fuzz/failures");
    for directory in [&corpus, &found, &failures] {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    }
    let prefix = format!("-artifact_prefix={}/{target}-", failures.display());
    let mut command = Command::new(binary);
    command
        .arg(format!("-max_total_time={}", args.seconds))
        .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"])
        .args(["-print_final_stats=1", &prefix]);
    let words = root.join("words").join(target);
    if words.exists() {
        command.arg(format!("-dict={}", words.display()));
    }
    // New inputs go into the first directory, which is not committed.
    if let Err(error) = run(command.args([&found, &corpus])) {
        bail!(
            "{target} has found something ({error}): the input is in {}; `{} FILE` repeats it",
            failures.display(),
            binary.display()
        );
    }
    if args.keep {
        keep(binary, &corpus, &found)?;
    }
    Ok(())
}

/// Inputs of a committed corpus, at the most.
const KEPT: usize = 60;

/// A corpus is replaced by the inputs that cover most.
fn keep(binary: &Path, corpus: &Path, found: &Path) -> Result<()> {
    let fewest = tempfile::tempdir().context("make a temporary directory")?;
    run(Command::new(binary)
        .args(["-set_cover_merge=1", "-use_counters=0", "-max_len=4096"])
        .args([fewest.path(), corpus, found]))?;
    // Each is written when it has been found to add most to those before.
    let mut inputs = fs::read_dir(fewest.path())
        .and_then(|entries| {
            entries
                .map(|entry| entry.and_then(|it| Ok((it.metadata()?.modified()?, it.path()))))
                .collect::<std::io::Result<Vec<_>>>()
        })
        .context("list the inputs that cover most")?;
    inputs.sort();
    fs::remove_dir_all(corpus)
        .and_then(|()| fs::create_dir(corpus))
        .with_context(|| format!("make {} anew", corpus.display()))?;
    for (_, input) in inputs.iter().take(KEPT) {
        run(Command::new("cp").arg(input).arg(corpus))?;
    }
    Ok(())
}
