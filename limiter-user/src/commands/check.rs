//! `limiter check`

use std::path::PathBuf;

use super::{
    failure::Failure,
    output,
    policy_source::{self, Flags},
};
use crate::{daemon::view, kernel, render};

/// Validate a configuration and print the effective policy
///
/// It is printed as a configuration that says everything. Behind each value stands where it comes
/// from, and what a server inherits is marked. With the flags of `run` instead of a file, what they
/// come to is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file [default: /etc/limiter/limiter.conf]
    #[arg(value_name = "FILE", conflicts_with = "Flags")]
    file: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let loaded = policy_source::examine(args.file, &args.flags)?;
    let cpus = kernel::possible_cpus()?;
    if args.json {
        return output::json(&view::policy(&loaded.policy, loaded.origins, cpus));
    }
    output::text(&render::policy::configuration(
        &loaded.policy,
        &loaded.origins,
        cpus,
    ))
}
