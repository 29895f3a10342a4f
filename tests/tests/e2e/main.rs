//! End to end: the real binary, real sockets, real cgroups.
//!
//! Each test has a [`tests::World`] of its own and may run beside any other. All need root.

mod actions;
mod adopt;
mod attacks;
mod audit;
mod bad_config;
mod bad_place;
mod burst;
mod changes;
mod check;
mod churn;
mod client_networks;
mod command_line;
mod connections;
mod control_socket;
mod demo;
mod doctor;
mod dry_run;
mod ends;
mod events;
mod exhausted;
mod flood;
mod guard;
mod harness;
mod harness_xdp;
mod import;
mod interface;
mod interface_changes;
mod interface_flood;
mod interface_life;
mod interface_refusal;
mod life;
mod limit;
mod logging;
mod metrics;
mod model;
mod nginx;
mod old_kernel;
mod packaging;
mod privileges;
mod reload;
mod same_words;
mod scope;
mod second;
mod several_zones;
mod soak;
mod stop;
mod top;
mod top_keys;
mod upstream;
mod way;
mod wrong_usage;
mod xdp_table;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by tests that keep every CPU busy, so that they do not add up.
fn heavy() -> MutexGuard<'static, ()> {
    static HEAVY: Mutex<()> = Mutex::new(());
    // A test that failed does not spoil the next one.
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What most tests limit.
const PORT: u16 = 8080;
const SERVER: &str = "127.0.0.1:8080";
const CLIENT: &str = "127.0.0.5";
/// Flags for ten connections per client address.
const LIMIT_10: [&str; 4] = ["--listen", "8080", "--limit", "10"];
/// Zone of `run` without a file.
const ZONE: &str = "addr";
