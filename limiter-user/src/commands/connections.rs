//! `limiter connections`

use super::{failure::Failure, output};
use crate::{
    control::{
        client::Client,
        route::{DEFAULT_HOLDERS, Holders},
    },
    render,
};

/// Show the open connections that hold slots, the oldest first
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Those that hold a slot of one zone only
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Those of one key only: a client's address or network, or what else the zone counts by
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Connections at the most [default: 50]
    #[arg(short = 'n', value_name = "N")]
    count: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let wanted = Holders {
        zone: args.zone,
        key: args.key,
        count: args.count.unwrap_or(DEFAULT_HOLDERS),
    };
    let list = client.connections(&wanted).await?;
    if args.json {
        return output::json(&list);
    }
    output::text(&render::connections::connections(&list))?;
    let more = list.matching.saturating_sub(list.connections.len() as u64);
    if more > 0 {
        eprintln!("limiter: {more} more, -n {} shows all", list.matching);
    }
    if list.missing > 0 {
        eprintln!(
            "limiter: {} connections that hold slots were not found: they are in network namespaces \
             that the daemon cannot find or enter",
            list.missing
        );
    }
    if list.hidden_processes > 0 {
        eprintln!(
            "limiter: the daemon may not look at {} processes, so owners may be missing \
             (it needs CAP_SYS_PTRACE)",
            list.hidden_processes
        );
    }
    Ok(())
}
