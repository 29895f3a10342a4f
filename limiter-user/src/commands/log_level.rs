//! `limiter log-level`

use super::{failure::Failure, level::Level, output};
use crate::{api::SetLogLevel, control::client::Client, render};

/// Set the level at which refusals are logged
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The level
    level: Level,
    /// One server only
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Print the servers concerned as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let change = SetLogLevel {
        level: args.level.into(),
        server: args.server,
    };
    let servers = client.set_log_level(&change).await?;
    if args.json {
        return output::json(&servers);
    }
    output::text(&render::servers::servers(&servers))
}
