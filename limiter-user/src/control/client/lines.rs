//! The event stream as it arrives.

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;

use super::{super::filter::Position, Client, ClientError};
use crate::api::{Event, HistoryFrom, Missed};

/// Largest line of the event stream, bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// The event stream, line by line.
pub struct EventLines {
    client: Client,
    position: Option<Position>,
    body: Incoming,
    buffer: BytesMut,
}

/// One line of the event stream.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum EventLine {
    /// An event.
    Event(Event),
    /// There are no older events, although they were asked for.
    HistoryFrom(HistoryFrom),
    /// Some are left out: we were too slow, or came too late.
    Missed(Missed),
}

impl EventLines {
    pub(super) fn new(client: Client, position: Option<Position>, body: Incoming) -> Self {
        Self {
            client,
            position,
            body,
            buffer: BytesMut::new(),
        }
    }

    /// Where the events to come begin. `None`: the daemon is of a version without.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Waits for the next line. `None`: the daemon has stopped.
    pub async fn next(&mut self) -> Result<Option<EventLine>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|error| self.client.broken(error));
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(self.client.broken("a line of the event stream is too long"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.client.broken(error)),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }
}
