//! Has threads stand still, so that what is open stays as it is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What all threads are to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Their work.
    #[default]
    Run,
    /// Hold what is open, and do nothing.
    Halt,
    /// Close everything, and do nothing.
    Drain,
    /// Come to their end.
    End,
}

#[derive(Default)]
struct State {
    mode: Mode,
    /// Commands so far.
    command: u64,
    /// Threads that have obeyed the last one.
    obeyed: usize,
}

/// Where they look between two steps.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    /// Returns when so many threads have obeyed.
    pub fn say(&self, mode: Mode, threads: usize) {
        let mut state = self.lock();
        (state.mode, state.obeyed) = (mode, 0);
        state.command += 1;
        self.changed.notify_all();
        while matches!(mode, Mode::Halt | Mode::Drain) && state.obeyed < threads {
            state = self.wait(state);
        }
    }

    /// Stands still while it has to. Whether to go on.
    pub fn obey(&self, mut drain: impl FnMut()) -> bool {
        let mut obeyed = 0;
        let mut state = self.lock();
        while matches!(state.mode, Mode::Halt | Mode::Drain) {
            if state.command != obeyed {
                obeyed = state.command;
                if state.mode == Mode::Drain {
                    drop(state);
                    drain();
                    state = self.lock();
                }
                state.obeyed += 1;
                self.changed.notify_all();
                continue;
            }
            state = self.wait(state);
        }
        state.mode == Mode::Run
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the threads when it is dropped, also by a panic: whoever waits for them would wait for ever.
pub struct EndOf<'a>(pub &'a Gate);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.say(Mode::End, 0);
    }
}
