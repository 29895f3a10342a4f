//! `limiter status`

use super::{failure::Failure, output};
use crate::{control::client::Client, render};

/// Show the daemon, its servers and its zones
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<(), Failure> {
    let status = client.status().await?;
    if args.json {
        return output::json(&status);
    }
    output::text(&render::status::status(&status))
}
