//! Keys, as they are pressed.

use std::thread;

use ratatui::crossterm::event::{Event, read as read_input};
use tokio::sync::mpsc;

/// Reads on a thread of its own until nobody wants any more, or the terminal is gone. The thread is left
/// behind at the end: it waits for a key.
pub(super) fn read(inputs: mpsc::Sender<Event>) {
    thread::spawn(move || {
        while let Ok(input) = read_input() {
            if inputs.blocking_send(input).is_err() {
                return;
            }
        }
    });
}
