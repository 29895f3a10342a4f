//! Measurements. They print figures beside goals; nothing passes or fails here.

use std::process::Command;

use anyhow::Result;
use clap::Subcommand;

use crate::command::{repository, run};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// What the programs cost per packet, per connection, and under a flood (root)
    // `--help` is answered by the program, which knows its options.
    #[command(disable_help_flag = true)]
    Kernel {
        /// Passed on; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Runs one benchmark. It is no part of xtask: it needs limiter-user, and that needs the object that
/// xtask builds.
pub fn run_task(args: &Args) -> Result<()> {
    let Bench::Kernel { arguments } = &args.bench;
    run(Command::new("cargo")
        .current_dir(repository())
        .args(["run", "--release", "--quiet", "--locked"])
        .args(["-p", "tests", "--bin", "kernel_cost", "--"])
        .args(arguments))
}
