//! The terminal: taken at the beginning, given back as it was at every end.
//!
//! A terminal may take as long as it likes, or nothing at all. So frames are written by a thread of
//! their own, one at a time; while it writes, no other frame is made, and keys and signals are heard.

use std::{
    io::{self, IsTerminal as _, Write, stdout},
    mem, panic,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        execute, queue,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

use super::super::failure::Failure;
use crate::top::{
    draw::{Look, draw},
    model::Model,
};

/// Longest wait at the end for a terminal that takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether there is a terminal at both ends.
pub(super) fn check() -> Result<(), Failure> {
    if stdout().is_terminal() && io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::Usage {
        text: "top: standard input and output have to be a terminal",
        hint: "`limiter status`, `limiter zones ZONE --top N` and `limiter events` print, also JSON",
    })
}

/// The alternate screen. Dropping it leaves it.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Buffer>>,
    frame: Buffer,
    writer: Writer,
}

impl Screen {
    pub(super) fn open() -> Result<Self, Failure> {
        leave_on_panic();
        let frame = Buffer::default();
        let open = || {
            enable_raw_mode()?;
            execute!(stdout(), EnterAlternateScreen)?;
            Terminal::new(CrosstermBackend::new(frame.clone()))
        };
        let terminal = open().inspect_err(|_| leave()).map_err(Failure::Output)?;
        Ok(Self {
            terminal,
            frame,
            writer: Writer::start(),
        })
    }

    /// What has changed since the last frame.
    pub(super) fn draw(&mut self, model: &Model, look: &Look) -> Result<(), Failure> {
        let drawn = self.terminal.draw(|frame| draw(frame, model, look));
        drawn.map_err(Failure::Output)?;
        self.writer.write(self.frame.take());
        Ok(())
    }

    /// The next frame is drawn as a whole: something else has written to the terminal.
    pub(super) fn forget(&mut self) -> Result<(), Failure> {
        self.terminal.clear().map_err(Failure::Output)
    }

    /// Whether the terminal has taken the last frame.
    pub(super) fn takes_more(&self) -> bool {
        !self.writer.is_busy.load(Ordering::Acquire)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // This takes effect whatever the terminal does.
        let _ = disable_raw_mode();
        let mut last = Vec::new();
        // Into memory.
        let _ = queue!(last, LeaveAlternateScreen, Show);
        let (done, is_done) = channel();
        let writer = self.writer.frames.clone();
        thread::spawn(move || {
            // An error says that the writer is gone, and the terminal with it.
            let _ = writer.send(Frame::Last(last, done));
        });
        let _ = is_done.recv_timeout(PATIENCE);
    }
}

enum Frame {
    One(Vec<u8>),
    /// And who waits for it.
    Last(Vec<u8>, Sender<()>),
}

/// The thread that writes.
struct Writer {
    frames: Sender<Frame>,
    is_busy: Arc<AtomicBool>,
}

impl Writer {
    fn start() -> Self {
        let (frames, received) = channel();
        let is_busy = Arc::new(AtomicBool::new(false));
        let busy = Arc::clone(&is_busy);
        thread::spawn(move || {
            for frame in received {
                let (bytes, last) = match frame {
                    Frame::One(bytes) => (bytes, None),
                    Frame::Last(bytes, done) => (bytes, Some(done)),
                };
                let mut stdout = stdout().lock();
                let written = stdout.write_all(&bytes).and_then(|()| stdout.flush());
                drop(stdout);
                busy.store(false, Ordering::Release);
                if let Some(done) = last {
                    // Nobody waits any more.
                    let _ = done.send(());
                }
                if written.is_err() {
                    // The terminal is gone; a signal says so as well.
                    return;
                }
            }
        });
        Self { frames, is_busy }
    }

    /// Only while it is not busy, so that at most one frame waits.
    fn write(&self, frame: Vec<u8>) {
        self.is_busy.store(true, Ordering::Release);
        if self.frames.send(Frame::One(frame)).is_err() {
            self.is_busy.store(false, Ordering::Release);
        }
    }
}

/// What is drawn, before it is written.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Vec<u8> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts everything back. What fails, fails because the terminal is gone.
fn leave() {
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
}

/// What a panic says has to stand where it can be read.
fn leave_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            leave();
            before(info);
        }));
    });
}
