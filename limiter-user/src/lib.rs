//! limiter caps the number of concurrent connections per key inside the Linux kernel.
//!
//! The way of the data:
//!
//! ```text
//! config   text → syntax → [`policy::Policy`] → daemon → [`kernel`] → policy maps
//! events   ring buffer → [`kernel`] → daemon → control socket → commands → render
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the configuration file: grammar, directives, diagnostics |
//! | [`import`] | from nginx's configuration to limiter's |
//! | [`policy`] | what was typed, checked once; nothing behind it validates again |
//! | [`kernel`] | the only place that imports aya |
//! | [`daemon`] | what `limiter run` does |
//! | [`control`] | HTTP with JSON on the Unix socket, both ends; the ports of `metrics` |
//! | [`metrics`] | what Prometheus is told |
//! | [`api`] | the JSON shapes, a contract |
//! | [`top`] | the live view, without the terminal |
//! | [`doctor`] | why connections run out |
//! | [`time`], [`network`] | times and networks as nginx writes them |
//! | [`zone_map`] | how large the map of a zone is |
//! | [`fnv`] | a hash that is the same in every build |
//! | [`commands`] | one file per verb |
//! | [`render`] | what a person reads on a terminal |

pub mod api;
pub mod commands;
pub mod config;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod fnv;
pub mod import;
pub mod kernel;
pub mod metrics;
pub mod network;
pub mod policy;
pub mod render;
pub mod time;
pub mod top;
pub mod zone_map;
