//! `limiter events`

use jiff::tz::TimeZone;

use super::{failure::Failure, output};
use crate::{
    api::Event,
    control::{
        client::{Client, EventLine},
        route::EventFilter,
    },
    render,
};

/// Show who is being refused, live
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// One zone only
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// One server only
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Show passed connections, too
    #[arg(long)]
    all: bool,
    /// Stop after this many events
    #[arg(short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let filter = EventFilter {
        all: args.all,
        zone: args.zone,
        server: args.server,
    };
    let mut lines = client.events(&filter).await?;
    let zone = TimeZone::system();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        match lines.next().await? {
            Some(EventLine::Event(event)) => {
                show(&event, args.json, &zone)?;
                left -= 1;
            }
            Some(EventLine::Missed(missed)) => {
                eprintln!(
                    "limiter: missed {} events, too slow to read them",
                    missed.missed
                );
            }
            None => return Err(Failure::DaemonStopped),
        }
    }
    Ok(())
}

fn show(event: &Event, json: bool, zone: &TimeZone) -> Result<(), Failure> {
    if json {
        return output::json(event);
    }
    output::text(&render::event::event(event, zone))
}
