//! What was changed by command lasts until the policy is read again.

use tests::{Limiter, World};

use crate::{CLIENT, SERVER};

#[test]
fn a_reload_goes_back_to_the_file() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let config = "limit_conn_zone $binary_remote_addr zone=addr:1m;
        server { listen 8080; limit_conn addr 3; }";
    let limiter = Limiter::start_config(&world, config);
    let before = limiter.status().servers;
    change_everything(&limiter);
    assert_ne!(limiter.status().servers, before);
    limiter.cli_ok(&["reload"]);
    assert_eq!(limiter.status().servers, before);
    let _open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
}

#[test]
fn without_a_file_it_goes_back_to_the_flags() {
    let world = World::new();
    let flags = ["--listen", "8080", "--limit", "3", "--action", "reset"];
    let limiter = Limiter::start(&world, &flags);
    let before = limiter.status().servers;
    change_everything(&limiter);
    assert_ne!(limiter.status().servers, before);
    limiter.cli_ok(&["reload"]);
    assert_eq!(limiter.status().servers, before);
}

fn change_everything(limiter: &Limiter) {
    for command in [
        &["limit", "addr", "5"][..],
        &["dry-run", "on"],
        &["log-level", "warn"],
        &["action", "close", "delay=2s"],
        &["exempt", "add", "10.0.0.0/8"],
    ] {
        limiter.cli_ok(command);
    }
}
