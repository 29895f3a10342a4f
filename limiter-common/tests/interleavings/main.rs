//! The counting, over all interleavings: the code of [`limiter_common::admission`] that runs in the
//! kernel, on a model of the kernel's maps, under loom.
//!
//! loom runs a scenario again and again, each time with another order of the accesses to what is
//! shared, until it has had all of them, or all with at most so many preemptions (`BOUND`). What a
//! scenario must never show is asserted in it; `table` says what the maps may do, `mutants` that an
//! error would be found.

mod alike;
mod connections;
mod mutants;
mod recount;
mod slots;
mod table;
mod tallies;
mod upstream;
mod words;
