//! `limiter limit`

use super::{failure::Failure, output};
use crate::{api::SetLimit, control::client::Client, render};

/// Set how many connections a key of a zone may have
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The zone
    zone: String,
    /// Connections per key at the most, 1 to 65535
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    number: u16,
    /// One server only; otherwise every server that uses the zone
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Print the servers concerned as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let change = SetLimit {
        zone: args.zone,
        number: args.number,
        server: args.server,
    };
    let servers = client.set_limit(&change).await?;
    if args.json {
        return output::json(&servers);
    }
    output::text(&render::servers::servers(&servers))
}
