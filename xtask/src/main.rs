//! What a developer of limiter does: build the eBPF object, run the tests, measure, package.
//!
//! `cargo xtask help` lists it.

mod bench;
mod build_ebpf;
mod cargo_tool;
mod command;
mod debian;
mod fuzz;
mod lint;
mod other_versions;
mod package;
mod soak;
mod supply_chain;
mod test;
mod toolchain;
mod verify;

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
    /// Feed what reads foreign bytes with inputs that nobody would write
    Fuzz(fuzz::Args),
    /// Check format, clippy (workspace and BPF target) and documentation
    Lint,
    /// Build a package to install
    Package(package::Args),
    /// Mixed load, reloads, restarts, dry run and flaps for an hour; compare what is counted with what is open
    Soak(soak::Args),
    /// Check licences, versions and sources of the dependencies, or look up what is known against them
    SupplyChain(supply_chain::Args),
    /// Run all tests, the end-to-end tests on this machine's kernel (as root, or through sudo)
    Test(test::Args),
    /// Run end-to-end tests on other kernels, Debian's, in an emulated machine; print what works where
    Verify(verify::Args),
}

fn main() -> anyhow::Result<()> {
    match Args::parse().task {
        Task::BuildEbpf(args) => build_ebpf::run_task(&args),
        Task::Bench(args) => bench::run_task(&args),
        Task::Fuzz(args) => fuzz::run_task(&args),
        Task::Lint => lint::run_task(),
        Task::Package(args) => package::run_task(&args),
        Task::Soak(args) => soak::run_task(&args),
        Task::SupplyChain(args) => supply_chain::run_task(&args),
        Task::Test(args) => test::run_task(&args),
        Task::Verify(args) => verify::run_task(&args),
    }
}
