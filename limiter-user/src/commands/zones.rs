//! `limiter zones`

use super::{failure::Failure, output};
use crate::{
    api::TopBy,
    control::{client::Client, route::DEFAULT_TOP},
    render,
};

/// Show all zones and upstreams, or one zone with the keys that have most connections or refusals
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One zone
    name: Option<String>,
    /// Keys at the most [default: 10]
    #[arg(long, value_name = "N", requires = "name")]
    top: Option<usize>,
    /// Which keys [default: connections]
    #[arg(long, value_name = "WHICH", requires = "name")]
    by: Option<TopBy>,
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
        let upstreams = client.status().await?.upstreams;
        return output::text(&render::zones::with_upstreams(&zones, &upstreams));
    };
    let top = args.top.unwrap_or(DEFAULT_TOP);
    let zone = match args.by.unwrap_or_default() {
        TopBy::Connections => client.zone(name, top).await?,
        TopBy::Rejected => client.zone_by_rejected(name, top).await?,
    };
    if args.json {
        return output::json(&zone);
    }
    output::text(&render::zones::zone(&zone))
}
