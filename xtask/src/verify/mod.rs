//! The end-to-end tests on other kernels: Debian's, in a machine that qemu emulates, with nothing in it
//! but the kernel, the tests and what they need.

mod emulator;
mod features;
mod guest;
mod kernels;
mod results;

use std::{path::PathBuf, process::Command, thread, time::Duration};

use anyhow::{Context, Result, anyhow, bail};

use self::{emulator::Emulator, features::Selection, kernels::Kernel, results::Results};
use crate::{
    command::{output, repository, run},
    test::build_end_to_end,
};

/// Arguments of `cargo xtask verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Kernels; all of them if none is named
    #[arg(value_parser = kernels::names())]
    kernels: Vec<String>,
    /// One test of each line of the table, and no table
    #[arg(long, conflicts_with_all = ["all", "filters"])]
    brief: bool,
    /// Every test that can be run there, which takes hours, not only those of the table
    #[arg(long, conflicts_with = "filters")]
    all: bool,
    /// Ask Debian for newer packages than those that were unpacked before
    #[arg(long)]
    update: bool,
    /// How long a kernel may take
    #[arg(long, value_name = "MINUTES", default_value_t = 20)]
    minutes: u64,
    /// Run the tests with one of these in their names
    #[arg(last = true)]
    filters: Vec<String>,
}

/// Runs the tests on each kernel, and prints which features work on which.
pub fn run_task(args: &Args) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!(
            "cargo xtask verify emulates x86-64, and wants a machine that is one: the tests are built for {}",
            std::env::consts::ARCH
        );
    }
    let place = repository().join("target/verify");
    let emulator = Emulator::prepare(&place.join("tools"), args.update)?;
    let kernels = kernels::chosen(&args.kernels)
        .map(|kernel| Kernel::prepare(kernel, &place, args.update))
        .collect::<Result<Vec<_>>>()?;
    run(Command::new("cargo").current_dir(repository()).args([
        "build",
        "--workspace",
        "--locked",
    ]))?;
    let e2e = end_to_end()?;
    let known = output(Command::new(&e2e).arg("--list"))?;
    let selection = if args.all {
        Selection::All
    } else if args.brief {
        Selection::Brief
    } else if args.filters.is_empty() {
        Selection::Table
    } else {
        Selection::Filters(&args.filters)
    };
    let mut all = Vec::new();
    let machines = kernels
        .iter()
        .map(|kernel| {
            let tests = selection.tests(kernel, known.lines())?;
            eprintln!("Linux {}: {} tests", kernel.release, tests.len());
            let image = guest::build(kernel, &emulator, &e2e, &tests, &place)?;
            Ok((kernel, image, tests))
        })
        .collect::<Result<Vec<_>>>()?;
    let limit = Duration::from_secs(args.minutes * 60);
    // Each keeps one of our processors busy.
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    for machines in machines.chunks(at_once) {
        thread::scope(|scope| {
            let running: Vec<_> = machines
                .iter()
                .map(|(kernel, image, tests)| {
                    scope.spawn(|| emulator.run(kernel, image, tests, limit))
                })
                .collect();
            for machine in running {
                let results = machine
                    .join()
                    .map_err(|_| anyhow!("a machine's thread died"))?;
                all.push(results?);
            }
            anyhow::Ok(())
        })?;
    }
    show(&all, &selection)
}

/// The executable of the end-to-end tests.
fn end_to_end() -> Result<PathBuf> {
    let tests = build_end_to_end()?;
    let test = tests.into_iter().find(|test| test.name == "e2e");
    Ok(test.context("find the end-to-end tests")?.executable)
}

#[expect(clippy::print_stdout, reason = "the table is what was asked for")]
fn show(all: &[Results], selection: &Selection) -> Result<()> {
    if !matches!(selection, Selection::Filters(_) | Selection::Brief) {
        println!("{}", features::table(all));
    }
    for results in all {
        println!("{}", results.summary());
    }
    if all.iter().any(|results| !results.is_good()) {
        bail!("not everything has passed on every kernel");
    }
    Ok(())
}
