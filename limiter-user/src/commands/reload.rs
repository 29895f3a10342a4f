//! `limiter reload`

use super::{failure::Failure, output};
use crate::{control::client::Client, render};

/// Have the daemon read its configuration again
///
/// The whole new policy takes effect in one switch, or, if there is an error in it, nothing does.
/// Zones that keep their name and key keep their counts, also when their size changes; connections
/// that are open count under the new policy before it is in force. What was changed with other
/// commands is gone. A daemon that was started with flags goes back to them. SIGHUP does the same.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print what is in force now as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let reloaded = client.reload().await?;
    for warning in &reloaded.warnings {
        eprint!("{warning}");
    }
    if args.json {
        return output::json(&reloaded);
    }
    output::text(&render::reload::reloaded(&reloaded))
}
