//! Measurements. They print figures beside goals; nothing passes or fails here.

mod kernel;

use anyhow::Result;
use clap::Subcommand;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// What the programs cost per packet and per connection, from the kernel's own bpf_stats (root)
    Kernel(kernel::Args),
}

/// Runs one benchmark.
pub fn run_task(args: &Args) -> Result<()> {
    match &args.bench {
        Bench::Kernel(args) => kernel::run_task(args),
    }
}
