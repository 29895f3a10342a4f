//! Outgoing connections: so many to each server of an upstream, over all processes, and not one more.

mod changes;
mod ends;
mod limit;
mod lives;
mod load;
mod proxy;
mod queue;

use std::net::SocketAddr;

use limiter::api::UpstreamServerStatus;
use tests::{Limiter, Server, World, settle, world::address};

use crate::SERVER;

/// What is counted of one server.
#[track_caller]
fn server(limiter: &Limiter, addr: SocketAddr) -> UpstreamServerStatus {
    let upstreams = limiter.status().upstreams;
    let mut servers = upstreams.iter().flat_map(|it| &it.servers);
    let found = servers.find(|it| it.server == addr);
    *found.unwrap_or_else(|| panic!("{addr} is in no upstream: {upstreams:?}"))
}

#[track_caller]
fn active(limiter: &Limiter, addr: SocketAddr) -> u64 {
    server(limiter, addr).active
}

/// Waits until nothing holds a slot.
#[track_caller]
fn all_given_back(limiter: &Limiter, addr: SocketAddr) {
    settle("connections to the upstream", 0, || active(limiter, addr));
}

/// `upstream backend` with the usual server.
fn backend(max_conns: u32) -> String {
    format!("upstream backend {{ server {SERVER} max_conns={max_conns}; }}\n")
}

/// A server outside of the limited cgroup.
fn outside(world: &World, listen: &[&str]) -> Server {
    Server::start_in(world, None, listen, &["--fast-open"])
}

fn at(text: &str) -> SocketAddr {
    text.parse()
        .unwrap_or_else(|_| SocketAddr::new(address(text), crate::PORT))
}
