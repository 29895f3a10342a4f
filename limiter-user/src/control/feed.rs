//! The last events, and everybody who reads them.
//!
//! New events go to the subscribers and into a history of bounded length, in one step, so that whoever
//! subscribes with a piece of the history misses none in between and gets none twice.

use std::{
    any::Any,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{
    filter::{EventFilter, Position},
    subscription::{Backlog, Published, Subscription},
};
use crate::api::{HistoryFrom, Missed};

/// Events that wait for slow subscribers, shared by all of them.
const QUEUE: usize = 8 * 1024;

/// Events that the history holds: a few megabytes.
pub const HISTORY: usize = 8 * 1024;

/// See the module.
pub struct Feed {
    stream: u64,
    sender: broadcast::Sender<Arc<Published>>,
    history: Mutex<History>,
}

struct History {
    events: VecDeque<Arc<Published>>,
    /// There may be older ones than this that are not here.
    from: Timestamp,
    /// The highest number that is known.
    newest: u64,
}

impl Feed {
    /// Of the stream with this number, whose newest event so far had the number `newest`. Nothing is
    /// known of what was before `now`.
    pub fn new(stream: u64, newest: u64, now: Timestamp) -> Self {
        let (sender, _) = broadcast::channel(QUEUE);
        Self {
            stream,
            sender,
            history: Mutex::new(History {
                events: VecDeque::new(),
                from: now,
                newest,
            }),
        }
    }

    /// Remembers the events, and sends them to whoever wants them. In the order of time.
    pub fn publish(&self, events: impl IntoIterator<Item = Published>) {
        let mut history = self.lock();
        for event in events {
            let event = Arc::new(event);
            history.push(Arc::clone(&event));
            // An error says that there is no subscriber.
            let _ = self.sender.send(event);
        }
    }

    /// One more reader: of what `filter` wants of the history, and of every event after the return.
    /// `lease` is held as long as it reads.
    pub fn subscribe(
        &self,
        filter: EventFilter,
        lease: Option<Box<dyn Any + Send>>,
    ) -> Subscription {
        let history = self.lock();
        let backlog = history.backlog(&filter, self.stream);
        let position = Position {
            stream: self.stream,
            number: history.newest,
        };
        let events = self.sender.subscribe();
        drop(history);
        Subscription::new(events, filter, lease).behind(position, backlog)
    }

    /// How many read.
    pub fn readers(&self) -> usize {
        self.sender.receiver_count()
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        // What it holds is whole after every step.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn push(&mut self, event: Arc<Published>) {
        if self.events.len() == HISTORY
            && let Some(oldest) = self.events.pop_front()
        {
            self.from = self.from.max(oldest.event.time);
        }
        self.newest = self.newest.max(event.event.number);
        self.events.push_back(event);
    }

    fn backlog(&self, filter: &EventFilter, stream: u64) -> Backlog {
        let mut backlog = Backlog::default();
        let mut first = 0;
        match filter.after {
            Some(after) if after.stream == stream => {
                first = after.number.saturating_add(1);
                let behind = self.events.iter().filter(|it| it.event.number >= first);
                let gone = self.newest.saturating_sub(after.number);
                let missed = gone.saturating_sub(behind.count() as u64);
                // Whoever comes back is told, even that there is nothing.
                backlog.missed = Some(Missed {
                    missed: Some(missed),
                });
            }
            Some(_) => backlog.missed = Some(Missed { missed: None }),
            None => {}
        }
        if let Some(since) = filter.since
            && since < self.from
            && filter.after.is_none()
        {
            backlog.from = Some(HistoryFrom {
                history_from: self.from,
            });
        }
        if filter.since.is_some() || filter.after.is_some() {
            let wanted = self
                .events
                .iter()
                .filter(|it| it.event.number >= first && filter.wants(&it.event));
            backlog.events = wanted.cloned().collect();
        }
        backlog
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Event;

    const STREAM: u64 = 5;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn event(number: u64) -> Published {
        let event = Event {
            number,
            time: at(number as i64),
            ..Event::example()
        };
        Published::new(event).expect("JSON")
    }

    fn feed(newest: u64, numbers: impl Iterator<Item = u64>) -> Feed {
        let feed = Feed::new(STREAM, newest, at(10));
        feed.publish(numbers.map(event));
        feed
    }

    async fn lines(feed: &Feed, filter: EventFilter) -> Vec<String> {
        let mut subscription = feed.subscribe(filter, None);
        // Something to wait for.
        feed.publish([event(1_000_000)]);
        let mut text = String::new();
        while !text.contains("1000000") {
            let chunk = subscription.next().await.expect("lines");
            text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
        text.lines().map(str::to_owned).collect()
    }

    fn after(stream: u64, number: u64) -> EventFilter {
        EventFilter {
            after: Some(Position { stream, number }),
            ..EventFilter::default()
        }
    }

    fn since(second: i64) -> EventFilter {
        EventFilter {
            since: Some(at(second)),
            ..EventFilter::default()
        }
    }

    #[tokio::test]
    async fn without_a_wish_there_is_no_history() {
        let feed = feed(10, 11..=20);
        assert_eq!(lines(&feed, EventFilter::default()).await.len(), 1);
    }

    #[tokio::test]
    async fn whoever_comes_back_gets_what_he_has_not_seen() {
        let feed = feed(10, 11..=20);
        let text = lines(&feed, after(STREAM, 17)).await;
        assert_eq!(text.len(), 5, "{text:?}");
        assert_eq!(text[0], "{\"missed\":0}");
        assert!(text[1].contains("\"number\":18"), "{text:?}");
    }

    #[tokio::test]
    async fn and_is_told_what_nobody_has_any_more() {
        // Up to 10 another daemon has read them; 13 and 14 found the ring full.
        let feed = feed(10, [11, 12, 15].into_iter());
        let text = lines(&feed, after(STREAM, 8)).await;
        assert_eq!(text[0], "{\"missed\":4}");
        assert_eq!(text.len(), 5, "{text:?}");
        let text = lines(&feed, after(STREAM + 1, 8)).await;
        assert_eq!(text[0], "{\"missed\":null}");
    }

    #[tokio::test]
    async fn the_history_has_a_beginning_and_an_end() {
        let feed = feed(10, 11..=20);
        assert_eq!(lines(&feed, since(16)).await.len(), 6);
        let text = lines(&feed, since(9)).await;
        assert_eq!(text[0], "{\"history_from\":\"1970-01-01T00:00:10Z\"}");
        // With the one that the first was given to wait for.
        assert_eq!(text.len(), 12);
    }

    #[tokio::test]
    async fn the_oldest_make_room() {
        let last = 20 + HISTORY as u64;
        let feed = feed(10, 21..=last + 1);
        let text = lines(&feed, since(5)).await;
        assert_eq!(text[0], "{\"history_from\":\"1970-01-01T00:00:21Z\"}");
        assert_eq!(text.len(), HISTORY + 2);
    }
}
