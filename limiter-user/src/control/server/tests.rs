//! The server over a real Unix socket, with a service that has no kernel behind it.

mod bench;
mod bounds;
mod requests;
mod streams;
