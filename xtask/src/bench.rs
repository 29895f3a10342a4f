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
    /// What it costs to read 160 000 keys, and whether other requests wait meanwhile (root)
    #[command(disable_help_flag = true)]
    Read {
        /// Passed on; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// How long the daemon takes until it is ready, alone and with 50 000 connections open (root)
    #[command(disable_help_flag = true)]
    Start {
        /// Passed on; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// limiter beside nftables, iptables, nginx, HAProxy, and beside no limiter (root)
    #[command(disable_help_flag = true)]
    Peers {
        /// Passed on; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// What the daemon costs while more events are offered than anybody can read (root)
    #[command(disable_help_flag = true)]
    Events {
        /// Passed on; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Runs one benchmark. It is no part of xtask: it needs limiter-user, and that needs the object that
/// xtask builds.
pub fn run_task(args: &Args) -> Result<()> {
    let (binary, arguments) = match &args.bench {
        Bench::Kernel { arguments } => ("kernel_cost", arguments),
        Bench::Read { arguments } => ("read_cost", arguments),
        Bench::Start { arguments } => ("start_cost", arguments),
        Bench::Peers { arguments } => ("peers", arguments),
        Bench::Events { arguments } => ("event_cost", arguments),
    };
    let cargo = |subcommand: &str| {
        let mut command = Command::new("cargo");
        command
            .current_dir(repository())
            .args([subcommand, "--release", "--quiet", "--locked"]);
        command
    };
    // The daemon and the servers are programs of their own, beside it.
    run(cargo("build").arg("--workspace"))?;
    run(cargo("run")
        .args(["-p", "tests", "--bin", binary, "--"])
        .args(arguments))
}
