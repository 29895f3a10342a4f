//! What becomes of the limits when the daemon ends, and when another one begins.

mod again;
mod ends;
mod kills;
