//! Command line of limiter.
fn main() {}
