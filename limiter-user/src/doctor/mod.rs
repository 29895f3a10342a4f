//! What `limiter doctor` looks at, and what it makes of it. Read-only, and without the daemon.
//!
//! ```text
//! sample ── wait ── sample ─┬─ listeners ─ states, activity, sources ─┬─ verdict
//!                           └─ processes ─ nginx ─ limits ────────────┘
//! ```
//!
//! | room | holds |
//! |---|---|
//! | [`sample`] | what the kernel says at one moment |
//! | [`counters`] | `/proc/net/netstat`, and settings of the network namespace |
//! | [`listeners`] | from two samples to listeners with their connections; pure |
//! | [`activity`] | what one connection did between the samples; pure |
//! | [`sources`] | who holds the connections; pure |
//! | [`processes`] | who has the listeners, and how many descriptors |
//! | [`nginx`] | its workers, its configuration, its own status |
//! | [`limits`] | what the daemon says |
//! | [`verdict`] | the cause; pure |
//! | [`examination`] | all of it in one report |

pub mod activity;
pub mod counters;
pub mod examination;
pub mod limits;
pub mod listeners;
pub mod nginx;
pub mod processes;
pub mod sample;
pub mod sources;
pub mod verdict;
