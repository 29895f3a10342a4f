//! One reader of the event stream.
//!
//! All readers share one bounded queue. One that does not keep up costs no memory of its own: it
//! loses the oldest events and is told how many.

use std::{
    any::Any,
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::sync::{
    broadcast::{
        self,
        error::{RecvError, TryRecvError},
    },
    mpsc, watch,
};

use super::filter::{EventFilter, Position};
use crate::api::{Event, HistoryFrom, Missed};

/// Lines are sent together up to about this many bytes.
const CHUNK_BYTES: usize = 8 * 1024;

/// Chunks that wait for the peer, beside one in hand and what fills the buffers of the connection.
const QUEUED_CHUNKS: usize = 1;

/// An event together with its line, so that it is put into JSON once for all readers.
#[derive(Clone, Debug)]
pub struct Published {
    /// What filters look at.
    pub event: Event,
    /// The event as JSON with a newline.
    pub line: Bytes,
}

impl Published {
    /// Puts the event into JSON.
    pub fn new(event: Event) -> Result<Self, serde_json::Error> {
        let line = json_line(&event)?;
        Ok(Self { event, line })
    }
}

/// What a reader gets before the events to come.
#[derive(Debug, Default)]
pub struct Backlog {
    /// What it will never get.
    pub missed: Option<Missed>,
    /// Where the history begins, if not where it was asked for.
    pub from: Option<HistoryFrom>,
    /// What it has asked for.
    pub events: VecDeque<Arc<Published>>,
}

/// One reader. Dropping it ends the subscription.
pub struct Subscription {
    position: Position,
    backlog: Backlog,
    events: broadcast::Receiver<Arc<Published>>,
    filter: EventFilter,
    _lease: Option<Box<dyn Any + Send>>,
}

impl Subscription {
    /// Reads from `events` what `filter` wants. `lease` is held as long as the subscription
    /// lives.
    pub fn new(
        events: broadcast::Receiver<Arc<Published>>,
        filter: EventFilter,
        lease: Option<Box<dyn Any + Send>>,
    ) -> Self {
        Self {
            position: Position::default(),
            backlog: Backlog::default(),
            events,
            filter,
            _lease: lease,
        }
    }

    /// The same, of a stream whose newest event is at this position, after what is behind.
    #[must_use]
    pub fn behind(self, position: Position, backlog: Backlog) -> Self {
        Self {
            position,
            backlog,
            ..self
        }
    }

    /// Events behind this one are to come.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Waits for lines; all that are there come together, up to a bound. `None`: the feed has
    /// ended.
    pub async fn next(&mut self) -> Option<Bytes> {
        let mut chunk = self.next_of_backlog();
        if !chunk.is_empty() {
            return Some(chunk.freeze());
        }
        while chunk.is_empty() {
            match self.events.recv().await {
                Ok(published) => self.append(&mut chunk, &published),
                Err(RecvError::Lagged(missed)) => append_missed(&mut chunk, missed),
                Err(RecvError::Closed) => return None,
            }
        }
        while chunk.len() < CHUNK_BYTES {
            match self.events.try_recv() {
                Ok(published) => self.append(&mut chunk, &published),
                Err(TryRecvError::Lagged(missed)) => append_missed(&mut chunk, missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Some(chunk.freeze())
    }

    fn next_of_backlog(&mut self) -> BytesMut {
        let mut chunk = BytesMut::new();
        if let Some(from) = self.backlog.from.take() {
            append_line(&mut chunk, &from);
        }
        if let Some(missed) = self.backlog.missed.take() {
            append_line(&mut chunk, &missed);
        }
        while chunk.len() < CHUNK_BYTES
            && let Some(published) = self.backlog.events.pop_front()
        {
            chunk.extend_from_slice(&published.line);
        }
        chunk
    }

    /// Serves the subscription as a body until the peer is gone or `stop` says so.
    pub(super) fn into_body(self, stop: watch::Receiver<bool>) -> Lines {
        let (chunks, receiver) = mpsc::channel(QUEUED_CHUNKS);
        tokio::spawn(self.pump(chunks, stop));
        Lines(receiver)
    }

    async fn pump(mut self, chunks: mpsc::Sender<Bytes>, mut stop: watch::Receiver<bool>) {
        let stopped = async { drop(stop.wait_for(|stop| *stop).await) };
        tokio::pin!(stopped);
        loop {
            let chunk = tokio::select! {
                chunk = self.next() => chunk,
                () = chunks.closed() => return,
                () = &mut stopped => return,
            };
            let Some(chunk) = chunk else { return };
            tokio::select! {
                sent = chunks.send(chunk) => if sent.is_err() { return },
                () = &mut stopped => return,
            }
        }
    }

    fn append(&self, chunk: &mut BytesMut, published: &Published) {
        if self.filter.wants(&published.event) {
            chunk.extend_from_slice(&published.line);
        }
    }
}

/// The body of `GET /events`.
pub(super) struct Lines(mpsc::Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

fn append_missed(chunk: &mut BytesMut, missed: u64) {
    let missed = Some(missed);
    append_line(chunk, &Missed { missed });
}

fn append_line(chunk: &mut BytesMut, value: &impl serde::Serialize) {
    if let Ok(line) = json_line(value) {
        chunk.extend_from_slice(&line);
    }
}

fn json_line(value: &impl serde::Serialize) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::EventState;

    fn event(zone: &str, status: EventState) -> Event {
        Event {
            status,
            zone: zone.to_owned(),
            ..Event::example()
        }
    }

    fn published(zone: &str, status: EventState) -> Arc<Published> {
        Arc::new(Published::new(event(zone, status)).expect("JSON"))
    }

    #[tokio::test]
    async fn a_reader_gets_what_it_asked_for() {
        let (sender, receiver) = broadcast::channel(16);
        let filter = EventFilter {
            zone: Some("addr".to_owned()),
            ..EventFilter::default()
        };
        let mut subscription = Subscription::new(receiver, filter, None);
        for (zone, status) in [
            ("other", EventState::Rejected),
            ("addr", EventState::Passed),
            ("addr", EventState::RejectedDryRun),
        ] {
            sender.send(published(zone, status)).expect("a reader");
        }
        drop(sender);
        let chunk = subscription.next().await.expect("one line");
        let line = std::str::from_utf8(&chunk).expect("UTF-8");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("\"status\":\"REJECTED_DRY_RUN\""), "{line}");
        assert!(line.contains("\"time\":\"1970-01-01T00:00:00Z\""), "{line}");
        assert_eq!(subscription.next().await, None);
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed() {
        let (sender, receiver) = broadcast::channel(2);
        let mut subscription = Subscription::new(receiver, EventFilter::default(), None);
        for _ in 0..5 {
            let event = published("addr", EventState::Rejected);
            sender.send(event).expect("a reader");
        }
        let chunk = subscription.next().await.expect("lines");
        let text = std::str::from_utf8(&chunk).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "{\"missed\":3}");
        assert_eq!(lines.len(), 3);
    }
}
