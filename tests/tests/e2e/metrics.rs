//! What is told to those who collect metrics: nginx's API, and Prometheus.

use std::net::SocketAddr;

mod agree;
mod api;
mod examples;
mod port;
mod prometheus;
mod rooms;

/// Where counters are served over TCP. Every test has a network of its own.
const METRICS: &str = "127.0.0.1:9145";

fn metrics() -> SocketAddr {
    METRICS.parse().expect("an address")
}
