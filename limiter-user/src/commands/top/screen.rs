//! The terminal: taken at the beginning, given back as it was at every end.

use std::{
    io::{self, IsTerminal as _, Stdout, stdout},
    os::fd::{AsFd as _, AsRawFd as _},
    panic,
    sync::Once,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

use super::super::failure::Failure;
use crate::top::{
    draw::{Look, draw},
    model::Model,
};

/// Bytes that the terminal has not taken yet, up to which another frame may go to it. A frame where
/// little has changed is smaller.
const BEHIND: i32 = 512;

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
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub(super) fn open() -> Result<Self, Failure> {
        leave_on_panic();
        let open = || {
            enable_raw_mode()?;
            execute!(stdout(), EnterAlternateScreen)?;
            Terminal::new(CrosstermBackend::new(stdout()))
        };
        let terminal = open().inspect_err(|_| leave()).map_err(Failure::Output)?;
        Ok(Self { terminal })
    }

    /// What has changed since the last frame.
    pub(super) fn draw(&mut self, model: &Model, look: &Look) -> Result<(), Failure> {
        let drawn = self.terminal.draw(|frame| draw(frame, model, look));
        drawn.map(drop).map_err(Failure::Output)
    }

    /// The next frame is drawn as a whole: something else has written to the terminal.
    pub(super) fn forget(&mut self) -> Result<(), Failure> {
        self.terminal.clear().map_err(Failure::Output)
    }

    /// Whether the terminal has taken what was written before.
    pub(super) fn takes_more(&self) -> bool {
        let stdout = stdout();
        let mut polled = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
        if !poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
            return false;
        }
        let mut unsent = 0;
        // SAFETY: the request writes one int (ioctl_tty(2)).
        let known = unsafe { libc::ioctl(stdout.as_raw_fd(), libc::TIOCOUTQ, &mut unsent) } == 0;
        !known || unsent <= BEHIND
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Puts everything back. What fails, fails because the terminal is gone.
fn leave() {
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
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
