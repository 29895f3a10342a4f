//! `limiter exempt`

use clap::ValueEnum;

use super::{failure::Failure, output, policy_source};
use crate::{api::SetExempt, control::client::Client, render};

/// Do not account clients of a network any more, or account them again
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// add: do not account them; remove: account them again
    change: Change,
    /// A network such as 192.0.2.0/24, or an address
    #[arg(value_name = "CIDR")]
    network: String,
    /// One server only; otherwise every server, and with remove those that have the network
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Print the servers concerned as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Change {
    Add,
    Remove,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let network = policy_source::network(&args.network)?.to_string();
    let (add, remove) = match args.change {
        Change::Add => (Some(network), None),
        Change::Remove => (None, Some(network)),
    };
    let change = SetExempt {
        add,
        remove,
        server: args.server,
    };
    let servers = client.set_exempt(&change).await?;
    if args.json {
        return output::json(&servers);
    }
    output::text(&render::servers::servers(&servers))
}
