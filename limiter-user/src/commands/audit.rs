//! `limiter audit`

use super::{failure::Failure, output};
use crate::{control::client::Client, render};

/// Have the daemon compare its counts with the connections that are open
///
/// It does so every ten seconds anyway. Counts that differ in two passes in a row are corrected, and
/// what was corrected is counted as drift. Nothing waits for an audit: connections are established
/// and closed meanwhile.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let report = client.audit().await?;
    if args.json {
        return output::json(&report);
    }
    output::text(&render::audit::report(&report))
}
