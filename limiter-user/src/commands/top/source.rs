//! What the daemon says.

use std::time::Duration;

use tokio::{
    select,
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    api::Event,
    control::{
        client::{Client, ClientError, EventFollower, Followed},
        filter::EventFilter,
    },
    top::model::Reading,
};

/// Keys that are asked for: more than fit on most screens, so that there is something to filter.
const KEYS: usize = 100;

/// Pause before the next try to subscribe.
const AGAIN: Duration = Duration::from_secs(1);

/// What there is to show.
pub(super) enum News {
    /// Everything was read again.
    Reading(Box<Reading>),
    /// There is no answer, and why.
    Lost(String),
    /// An event.
    Event(Box<Event>),
    /// So many events could not be shown.
    Missed(u64),
    /// What came of a command.
    Said(String),
}

/// Reads everything once; `zone` is the selected one, or the first.
pub(super) async fn read(client: &Client, zone: Option<&str>) -> Result<Reading, ClientError> {
    let status = client.status().await?;
    let first = || status.zones.first().map(|zone| zone.zone.clone());
    let is_there = |name: &&str| status.zones.iter().any(|zone| zone.zone == **name);
    let name = zone.filter(is_there).map(str::to_owned).or_else(first);
    let zone = match name {
        Some(name) => Some(client.zone(&name, KEYS).await?),
        None => None,
    };
    Ok(Reading { status, zone })
}

/// Reads again and again, and at once when another zone is selected.
pub(super) async fn poll(
    client: Client,
    every: Duration,
    mut selected: watch::Receiver<Option<String>>,
    news: mpsc::Sender<News>,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one comes at once, and everything has just been read.
    ticks.tick().await;
    loop {
        select! {
            _ = ticks.tick() => {}
            changed = selected.changed() => if changed.is_err() { return },
        }
        let zone = selected.borrow_and_update().clone();
        let told = match read(&client, zone.as_deref()).await {
            Ok(reading) => News::Reading(Box::new(reading)),
            Err(error) => News::Lost(error.to_string()),
        };
        if news.send(told).await.is_err() {
            return;
        }
    }
}

/// Follows the events, over the end of the daemon.
pub(super) async fn follow(client: Client, news: mpsc::Sender<News>) {
    loop {
        if let Ok(mut follower) = EventFollower::start(client.clone(), EventFilter::default()).await
        {
            let mut missed = 0;
            while let Ok(followed) = follower.next().await {
                let told = match followed {
                    Followed::Event(event) => News::Event(event),
                    Followed::Missed(missed) | Followed::Again { missed } => News::Missed(missed),
                    Followed::Stopped => News::Lost("it has stopped".to_owned()),
                    Followed::Broken(error) => News::Lost(error.to_string()),
                    Followed::HistoryFrom(_) | Followed::Anew => continue,
                };
                // A screen that is behind does not need each of them.
                match news.try_send(told) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(_)) => missed += 1,
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                }
                if missed > 0 && news.try_send(News::Missed(missed)).is_ok() {
                    missed = 0;
                }
            }
        }
        // Not allowed, or not answered.
        sleep(AGAIN).await;
    }
}
