//! The event stream over the end of a daemon and the beginning of the next one.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    super::filter::{EventFilter, Position},
    Client, ClientError, EventLine, EventLines,
};
use crate::api::Event;

/// Pause before the next try to find a daemon.
const AGAIN: Duration = Duration::from_millis(200);

/// Refusals of the daemon that another try may get over: it stops, or is busy.
const UNAVAILABLE: u16 = 503;

/// Reads events, and looks for the next daemon when one is gone.
pub struct EventFollower {
    client: Client,
    filter: EventFilter,
    lines: Option<EventLines>,
    position: Option<Position>,
    /// Nothing has come from this daemon yet, and it is not the first one.
    is_new: bool,
}

/// What happened.
#[derive(Debug)]
pub enum Followed {
    /// An event.
    Event(Box<Event>),
    /// There are no older events, although they were asked for.
    HistoryFrom(Timestamp),
    /// We were too slow for so many.
    Missed(u64),
    /// The daemon has stopped cleanly.
    Stopped,
    /// The daemon is gone otherwise.
    Broken(ClientError),
    /// There is a daemon again. It has taken over, and so many events came to nobody.
    Again {
        /// Whether they match the filter or not.
        missed: u64,
    },
    /// There is a daemon again. Its programs began anew, so nobody knows what happened meanwhile.
    Anew,
}

impl EventFollower {
    /// Subscribes. That there is no daemon to begin with is an error.
    pub async fn start(client: Client, filter: EventFilter) -> Result<Self, ClientError> {
        let lines = client.events(&filter).await?;
        Ok(Self {
            position: lines.position(),
            lines: Some(lines),
            client,
            filter,
            is_new: false,
        })
    }

    /// Waits for something to happen. Can be given up at any time.
    ///
    /// # Errors
    ///
    /// If the next daemon refuses what the one before has allowed.
    pub async fn next(&mut self) -> Result<Followed, ClientError> {
        let lines = match &mut self.lines {
            Some(lines) => lines,
            None => {
                let lines = self.find_next().await?;
                self.is_new = true;
                self.lines.insert(lines)
            }
        };
        let line = lines.next().await;
        let is_first = std::mem::take(&mut self.is_new);
        let happened = match line {
            Ok(Some(EventLine::Event(event))) => {
                if let Some(position) = &mut self.position {
                    position.number = position.number.max(event.number);
                }
                Followed::Event(Box::new(event))
            }
            Ok(Some(EventLine::HistoryFrom(it))) => Followed::HistoryFrom(it.history_from),
            Ok(Some(EventLine::Missed(it))) => match it.missed {
                Some(missed) if is_first => Followed::Again { missed },
                Some(missed) => Followed::Missed(missed),
                None => {
                    let stream = lines.position().unwrap_or_default().stream;
                    self.position = Some(Position { stream, number: 0 });
                    Followed::Anew
                }
            },
            Ok(None) => {
                self.lines = None;
                Followed::Stopped
            }
            Err(error) => {
                self.lines = None;
                Followed::Broken(error)
            }
        };
        Ok(happened)
    }

    /// Tries until there is a daemon.
    async fn find_next(&self) -> Result<EventLines, ClientError> {
        let filter = EventFilter {
            // Of no stream, if the daemon before had none.
            after: Some(self.position.unwrap_or_default()),
            ..self.filter.clone()
        };
        loop {
            match self.client.events(&filter).await {
                Err(ClientError::Refused(detail)) if detail.status == UNAVAILABLE => {}
                Err(error @ (ClientError::Refused(_) | ClientError::Denied { .. })) => {
                    return Err(error);
                }
                Err(_) => {}
                Ok(lines) => return Ok(lines),
            }
            sleep(AGAIN).await;
        }
    }
}
