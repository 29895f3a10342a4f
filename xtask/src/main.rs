//! What a developer of limiter does: build the eBPF object, run the tests, measure.
//!
//! `cargo xtask help` lists it.

mod bench;
mod build_ebpf;
mod command;
mod toolchain;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Developer tasks of limiter", max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the eBPF object that limiter-user embeds, setting up the toolchain if it is missing
    BuildEbpf(build_ebpf::Args),
    /// Measure
    Bench(bench::Args),
}

fn main() -> anyhow::Result<()> {
    match Args::parse().task {
        Task::BuildEbpf(args) => build_ebpf::run_task(&args),
        Task::Bench(args) => bench::run_task(&args),
    }
}
