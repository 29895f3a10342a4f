//! What `limiter top` shows, and how it answers keys. No terminal, no clock, no daemon: those are in
//! [`crate::commands`].
//!
//! | room | holds |
//! |---|---|
//! | [`model`] | what is known, what is selected |
//! | [`input`] | what a key does |
//! | [`rates`] | from two readings to numbers per second |
//! | [`track`] | how many connections a key had lately |
//! | [`draw`] | the screen |

pub mod draw;
pub mod input;
pub mod model;
pub mod rates;
pub mod track;

#[cfg(test)]
mod tests;
