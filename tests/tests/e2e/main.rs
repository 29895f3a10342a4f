//! End to end: the real binary, real sockets, real cgroups.
//!
//! Each test has a [`tests::World`] of its own and may run beside any other. All need root.

mod harness;
