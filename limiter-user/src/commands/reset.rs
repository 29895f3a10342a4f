//! `limiter reset`

use super::failure::Failure;
use crate::{api::ResetCounters, control::client::Client};

/// Set counters back to zero; connections stay counted
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One zone only
    zone: Option<String>,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    client.reset(&ResetCounters { zone: args.zone }).await?;
    Ok(())
}
