//! `limiter zones`

use super::{failure::Failure, output};
use crate::{
    control::{client::Client, route::DEFAULT_TOP},
    render,
};

/// Show all zones, or one with its busiest keys
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One zone
    name: Option<String>,
    /// Keys at the most [default: 10]
    #[arg(long, value_name = "N", requires = "name")]
    top: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<(), Failure> {
    let Some(name) = &args.name else {
        let zones = client.zones().await?;
        if args.json {
            return output::json(&zones);
        }
        return output::text(&render::zones::zones(&zones));
    };
    let zone = client.zone(name, args.top.unwrap_or(DEFAULT_TOP)).await?;
    if args.json {
        return output::json(&zone);
    }
    output::text(&render::zones::zone(&zone))
}
