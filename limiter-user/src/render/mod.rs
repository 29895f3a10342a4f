//! What a person reads on a terminal.

pub mod policy;
