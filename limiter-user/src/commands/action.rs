//! `limiter action`

use std::iter;

use super::{
    failure::Failure,
    output,
    policy_source::{self, ACTIONS},
};
use crate::{api::SetAction, control::client::Client, render};

/// Set how attempts over the limit are refused
#[derive(Debug, clap::Args)]
#[command(after_long_help = ACTIONS)]
pub(super) struct Args {
    /// drop, reset or close
    action: String,
    /// With close: when to close [default: delay=0s]
    #[arg(value_name = "delay=TIME")]
    parameter: Option<String>,
    /// One server only
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Print the servers concerned as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let words: Vec<_> = iter::once(args.action).chain(args.parameter).collect();
    let action = policy_source::action(&words)?;
    let change = SetAction {
        action: action.kind(),
        delay_ms: action.delay_ms(),
        server: args.server,
    };
    let servers = client.set_action(&change).await?;
    if args.json {
        return output::json(&servers);
    }
    output::text(&render::servers::servers(&servers))
}
