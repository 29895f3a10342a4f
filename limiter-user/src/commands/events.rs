//! `limiter events`

use ipnet::IpNet;
use jiff::{Timestamp, tz::TimeZone};

use super::{colour::When, failure::Failure, output, since};
use crate::{
    api::{Event, EventState},
    control::{
        client::{Client, EventFollower, Followed},
        feed::HISTORY,
        filter::{EventFilter, parse_status},
    },
    network, render,
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
    /// One status only: passed, rejected, rejected-dry-run or closed; may be repeated
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    status: Vec<EventState>,
    /// Clients of this address or network only
    #[arg(long, value_name = "CIDR", value_parser = address)]
    addr: Option<IpNet>,
    /// Show connections that pass and close, too
    #[arg(long)]
    all: bool,
    /// Begin with what the daemon remembers since then: 10m, 12:30, 2026-01-31T12:30:00Z
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    since: Option<Timestamp>,
    /// Stop after this many events
    #[arg(short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: When,
}

fn status(text: &str) -> Result<EventState, &'static str> {
    parse_status(text).ok_or("expected passed, rejected, rejected-dry-run or closed")
}

fn address(text: &str) -> Result<IpNet, String> {
    network::parse(text).map_err(|error| format!("{}, {}", error.message(text), error.expected()))
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    let filter = EventFilter {
        all: args.all,
        zone: args.zone,
        server: args.server,
        status: args.status,
        addr: args.addr,
        since: args.since,
        after: None,
    };
    let mut follower = EventFollower::start(client.clone(), filter).await?;
    let zone = TimeZone::system();
    let colour = args.color.on_stdout();
    let show = |event: &Event| {
        if args.json {
            return output::json(event);
        }
        output::text(&render::event::event(event, &zone, colour))
    };
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        match follower.next().await? {
            Followed::Event(event) => {
                show(&event)?;
                left -= 1;
            }
            other => eprintln!("limiter: {}", notice(&other, &zone)),
        }
    }
    Ok(())
}

/// What stands between events.
fn notice(followed: &Followed, zone: &TimeZone) -> String {
    match followed {
        Followed::Event(_) => String::new(),
        Followed::HistoryFrom(from) => format!(
            "what was before {} is gone: the daemon remembers {HISTORY} events, and none of before it began",
            from.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S")
        ),
        Followed::Missed(missed) => format!("missed {missed} events, too slow to read them"),
        Followed::Stopped => "the daemon has stopped, waiting for the next one".to_owned(),
        Followed::Broken(error) => {
            format!("the daemon is gone, waiting for the next one ({error})")
        }
        Followed::Again { missed: 0 } => "connected again, missed no events".to_owned(),
        Followed::Again { missed } => format!("connected again, missed {missed} events"),
        Followed::Anew => {
            "connected again: the limiter began anew, and nobody counted what happened \
                           meanwhile"
                .to_owned()
        }
    }
}
