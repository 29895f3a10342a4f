//! `limiter check`

use std::path::PathBuf;

use super::{
    failure::Failure,
    output,
    policy_source::{self, DEFAULT_FILE},
};
use crate::{daemon::view, render};

/// Validate a configuration and print the effective policy
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file
    #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let policy = policy_source::from_file(&args.file)?;
    if args.json {
        return output::json(&view::policy(&policy));
    }
    output::text(&render::policy::configuration(&policy).to_string())
}
