//! Where records go: through a bounded queue to a thread that writes. A target that blocks (a
//! pipe nobody reads) holds up nobody, and one that fails (a full disk) stops nobody; what does not
//! fit into the queue, or cannot be written, is counted and told as soon as that is possible.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{form::Form, target::Target};
use crate::policy::LogLevel;

/// Records that wait for the target.
const QUEUED: usize = 4096;

/// Longest wait for the target when the daemon ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object}: {cause}")]
pub struct LogError {
    operation: &'static str,
    object: String,
    cause: String,
}

impl LogError {
    pub(super) fn new(
        operation: &'static str,
        object: impl Into<String>,
        cause: impl ToString,
    ) -> Self {
        Self {
            operation,
            object: object.into(),
            cause: cause.to_string(),
        }
    }
}

/// The queue's end for those who log.
#[derive(Clone)]
pub(super) struct Sink {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

enum Message {
    Record(Vec<u8>),
    /// Everything before this has been written; what comes goes to a file of the same path.
    Reopen,
    /// Everything before this has been written once the answer is there.
    Flush(SyncSender<()>),
}

impl Sink {
    pub(super) fn send(&self, record: Vec<u8>) {
        if self.queue.try_send(Message::Record(record)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Dropping it waits, for a bounded time, until everything has been written.
#[must_use]
pub struct LogGuard(Sink);

impl LogGuard {
    /// The way to have the file opened anew.
    pub fn reopener(&self) -> Reopener {
        Reopener(self.0.clone())
    }
}

/// Has the file opened anew, after it was renamed.
pub struct Reopener(Sink);

impl Reopener {
    /// Asks for it. `false`: the queue is full, it is to be tried again.
    #[must_use]
    pub fn reopen(&self) -> bool {
        // Without the thread there is nothing to be opened.
        !matches!(
            self.0.queue.try_send(Message::Reopen),
            Err(TrySendError::Full(_))
        )
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        let (done, flushed) = mpsc::sync_channel(1);
        let mut message = Message::Flush(done);
        while let Err(TrySendError::Full(back)) = self.0.queue.try_send(message) {
            if Instant::now() >= deadline {
                return;
            }
            message = back;
            thread::sleep(Duration::from_millis(10));
        }
        let _ = flushed.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// Starts the thread that writes to the target.
pub(super) fn start(target: Target, form: Form) -> Result<(Sink, LogGuard), LogError> {
    let (sink, messages) = queue(QUEUED);
    let lost = Arc::clone(&sink.lost);
    let mut writer = Writer {
        target,
        form,
        unwritten: 0,
        cause: String::new(),
    };
    thread::Builder::new()
        .name("error_log".to_owned())
        .spawn(move || writer.run(&messages, &lost))
        .map_err(|e| LogError::new("start", "the thread of error_log", e))?;
    Ok((sink.clone(), LogGuard(sink)))
}

fn queue(records: usize) -> (Sink, Receiver<Message>) {
    let (queue, messages) = mpsc::sync_channel(records);
    let lost = Arc::default();
    (Sink { queue, lost }, messages)
}

/// The thread's side.
struct Writer {
    target: Target,
    form: Form,
    /// Records that could not be written, and that the log does not know of.
    unwritten: u64,
    /// Why.
    cause: String,
}

impl Writer {
    fn run(&mut self, messages: &Receiver<Message>, lost: &AtomicU64) {
        for message in messages {
            match message {
                Message::Record(record) => self.write(&record),
                Message::Reopen => {
                    if let Err(error) = self.target.reopen() {
                        self.say(&error.to_string());
                    }
                }
                Message::Flush(done) => {
                    self.confess();
                    let _ = done.send(());
                }
            }
            let lost = lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                self.say(&format!("{lost} log lines lost, the log is too slow"));
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.write(&self.form.message(LogLevel::Warn, text));
    }

    fn write(&mut self, record: &[u8]) {
        // In the order in which it happened.
        if self.confess()
            && let Err(error) = self.target.write(record)
        {
            self.cause = error.to_string();
            if !self.target.is_stderr() {
                // Once, until it can be written again.
                let text =
                    format!("error_log: {error}; lines are lost until it can be written again");
                let _ = Target::Stderr.write(&Form::Text.message(LogLevel::Error, &text));
            }
            self.unwritten = 1;
        } else if self.unwritten > 0 {
            self.unwritten += 1;
        }
    }

    /// Says what was lost, if anything was. `false`: it cannot be written.
    fn confess(&mut self) -> bool {
        if self.unwritten == 0 {
            return true;
        }
        let (lost, cause) = (self.unwritten, &self.cause);
        let text = format!("{lost} log lines lost, they could not be written: {cause}");
        let line = self.form.message(LogLevel::Warn, &text);
        let written = self.target.write(&line).is_ok();
        if written {
            self.unwritten = 0;
        }
        written
    }
}

#[cfg(test)]
pub(super) mod tests;
