//! `limiter dry-run`

use clap::ValueEnum;

use super::{failure::Failure, output};
use crate::{api::SetDryRun, control::client::Client, render};

/// Account and report, but refuse nobody; or refuse again
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// on: refuse nobody; off: refuse
    switch: Switch,
    /// One server only
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Print the servers concerned as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let change = SetDryRun {
        on: args.switch == Switch::On,
        server: args.server,
    };
    let servers = client.set_dry_run(&change).await?;
    if args.json {
        return output::json(&servers);
    }
    output::text(&render::servers::servers(&servers))
}
