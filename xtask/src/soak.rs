//! A long run of everything at once.

use std::process::Command;

use anyhow::Result;

use crate::command::{repository, run};

/// Arguments of `cargo xtask soak`.
#[derive(clap::Args)]
// `--help` is answered by the program, which knows its options.
#[command(disable_help_flag = true)]
pub struct Args {
    /// Passed on: --minutes N, --seconds N, --seed S, --report FILE
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs it, with a daemon that checks itself: unlike a benchmark, this is not built for release.
pub fn run_task(args: &Args) -> Result<()> {
    let cargo = |subcommand: &str| {
        let mut command = Command::new("cargo");
        command
            .current_dir(repository())
            .args([subcommand, "--quiet", "--locked"]);
        command
    };
    // The daemon and the servers are programs of their own, beside it.
    run(cargo("build").arg("--workspace"))?;
    run(cargo("run")
        .args(["-p", "tests", "--bin", "soak", "--"])
        .args(&args.arguments))
}
