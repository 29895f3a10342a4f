//! Where log lines go: through a bounded queue to a thread that writes. A target that blocks (a
//! pipe nobody reads, a full disk) holds up nobody; what does not fit into the queue is counted.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::policy::{LogLevel, LogTarget};

/// Lines that wait for the target.
const QUEUED_LINES: usize = 4096;

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
    Line(String),
    /// Everything before this has been written once the answer is there.
    Flush(SyncSender<()>),
}

impl Sink {
    pub(super) fn send(&self, line: String) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Dropping it waits, for a bounded time, until everything has been written.
#[must_use]
pub struct LogGuard(Sink);

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

/// Where the lines are written.
pub(super) type Target = Box<dyn Write + Send>;

/// Opens the target.
pub(super) fn open(target: &LogTarget) -> Result<Target, LogError> {
    Ok(match target {
        LogTarget::Stderr => Box::new(io::stderr()),
        LogTarget::File(path) => {
            let file = OpenOptions::new().append(true).create(true).open(path);
            let error = |e| LogError::new("open error_log", path.display().to_string(), e);
            Box::new(file.map_err(error)?)
        }
    })
}

/// Starts the thread that writes to the target.
pub(super) fn start(target: Target) -> Result<(Sink, LogGuard), LogError> {
    let (sink, messages) = queue(QUEUED_LINES);
    let lost = Arc::clone(&sink.lost);
    thread::Builder::new()
        .name("error_log".to_owned())
        .spawn(move || write_all(&messages, &lost, target))
        .map_err(|e| LogError::new("start", "the thread of error_log", e))?;
    Ok((sink.clone(), LogGuard(sink)))
}

fn queue(lines: usize) -> (Sink, Receiver<Message>) {
    let (queue, messages) = mpsc::sync_channel(lines);
    let lost = Arc::default();
    (Sink { queue, lost }, messages)
}

fn write_all(messages: &Receiver<Message>, lost: &AtomicU64, mut target: impl Write) {
    for message in messages {
        // There is nobody left to tell about a failure to write.
        match message {
            Message::Line(line) => drop(target.write_all(line.as_bytes())),
            Message::Flush(done) => {
                let _ = target.flush();
                let _ = done.send(());
            }
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} log lines lost, the log is too slow");
            let line = super::line(Timestamp::now(), LogLevel::Warn, &text);
            let _ = target.write_all(line.as_bytes());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Lines that a test has logged.
    pub(in super::super) struct Captured(Receiver<Message>);

    impl Captured {
        pub(in super::super) fn lines(&self) -> Vec<String> {
            let lines = self.0.try_iter().filter_map(|message| match message {
                Message::Line(line) => Some(line),
                Message::Flush(_) => None,
            });
            lines.collect()
        }
    }

    /// A sink that writes nowhere.
    pub(in super::super) fn capture() -> (Sink, Captured) {
        let (sink, messages) = queue(64);
        (sink, Captured(messages))
    }

    #[test]
    fn lines_are_appended_and_written_out_at_the_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("error.log");
        std::fs::write(&path, "before\n").expect("a file");
        let target = open(&LogTarget::File(path.clone())).expect("a log");
        let (sink, guard) = start(target).expect("a thread");
        for i in 0..100 {
            sink.send(format!("line {i}\n"));
        }
        drop(guard);
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.starts_with("before\nline 0\n"));
        assert!(text.ends_with("line 99\n"));
    }

    #[test]
    fn lines_that_do_not_fit_are_counted() {
        let (sink, messages) = queue(2);
        for i in 0..5 {
            sink.send(format!("line {i}\n"));
        }
        let lost = Arc::clone(&sink.lost);
        drop(sink);
        let mut target = Vec::new();
        write_all(&messages, &lost, &mut target);
        let text = String::from_utf8(target).expect("UTF-8");
        assert!(text.starts_with("line 0\n"), "{text}");
        assert!(text.contains("[warn] 3 log lines lost"), "{text}");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let target = LogTarget::File("/nonexistent/error.log".into());
        let Err(error) = open(&target) else {
            panic!("opened");
        };
        let start = "open error_log /nonexistent/error.log: No such file";
        assert!(error.to_string().starts_with(start), "{error}");
    }
}
