//! Policies that come and go leave nothing behind.

use std::fs;

use tests::{Limiter, World, settle};

use crate::{CLIENT, SERVER};

/// Places for zones and servers are used again, and nothing that was is counted twice.
#[test]
fn many_more_policies_than_there_are_places() {
    const TURNS: usize = 150;
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let config = |turn: usize| {
        // Now with another name, now with another key, now with another size.
        let (name, size) = (turn / 3 % 5, 1 + turn % 2);
        let key = ["$binary_remote_addr", "$server_port", "$server_name"][turn % 3];
        format!(
            "limit_conn_zone {key} zone=z{name}:{size}m;
            limit_conn_zone $binary_remote_addr zone=stays:{size}m;
            server {{ server_name s{turn}; listen 8080; limit_conn stays 4; limit_conn z{name} 100; }}"
        )
    };
    let limiter = Limiter::start_config(&world, &config(0));
    let mut open = world.open_many(CLIENT, server.address(), 4);
    let descriptors = || {
        let list = fs::read_dir(format!("/proc/{}/fd", limiter.id())).expect("its descriptors");
        list.count()
    };
    let (mut before, mut passed) = (0, 4);
    for turn in 1..TURNS {
        limiter.reload(&world, &config(turn));
        let zone = limiter.zone("stays");
        assert_eq!((zone.connections, zone.keys, zone.passed), (4, 1, passed));
        let other = limiter.zone(&format!("z{}", turn / 3 % 5));
        assert_eq!(other.connections, 4, "turn {turn}");
        match turn {
            20 => before = descriptors(),
            _ if turn % 50 == 49 => {
                world.must_be_refused(CLIENT, server.address());
                drop(open.pop());
                settle("connections", 3, || limiter.zone("stays").connections);
                open.push(world.open(CLIENT, server.address()));
                passed += 1;
            }
            _ => {}
        }
    }
    assert!(
        descriptors() <= before + 4,
        "{before}, then {}",
        descriptors()
    );
    assert_eq!(limiter.status().zones.len(), 2);
    drop(open);
    settle("connections", 0, || limiter.zone("stays").connections);
    limiter.must_be_exact("stays");
}

#[test]
fn interfaces_follow_the_policy() {
    let world = World::new();
    let _server = world.serve(&[SERVER]);
    let attach = format!(
        "attach cgroup {};\n",
        tests::world::quoted(world.cgroup.path())
    );
    let policy = "limit_conn_zone $binary_remote_addr zone=addr:1m;
        server { listen 8080; limit_conn addr 3; }\n";
    let limiter = Limiter::start_config(&world, policy);
    let interfaces = || -> Vec<_> {
        let attached = limiter.status().attached.into_iter();
        attached
            .filter(|it| it.kind == "interface")
            .map(|it| (it.target, it.mode.map(|mode| mode.to_string()), it.waiting))
            .collect()
    };
    let lo = || ("lo".to_owned(), Some("generic".to_owned()), None);
    let reload = |lines: &str| {
        world.write("limiter.conf", &(attach.clone() + lines + policy));
        limiter.cli(&["reload"])
    };
    assert_eq!(reload("").code, Some(0));
    assert_eq!(interfaces(), []);
    assert_eq!(reload("attach interface lo;\n").code, Some(0));
    assert_eq!(interfaces(), [lo()]);
    // One that is missing is waited for.
    assert_eq!(
        reload("attach interface later;\nattach interface lo;\n").code,
        Some(0)
    );
    let later = (
        "later".to_owned(),
        None,
        Some("no such interface".to_owned()),
    );
    assert_eq!(interfaces(), [later, lo()]);
    // One that cannot have the program in this mode makes the whole reload fail, …
    assert_eq!(reload("").code, Some(0));
    let output = reload("attach interface lo mode=native;\n");
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert_eq!(interfaces(), []);
    // … and in another it is attached anew.
    assert_eq!(reload("attach interface lo mode=generic;\n").code, Some(0));
    assert_eq!(interfaces(), [lo()]);
    assert_eq!(reload("attach interface lo;\n").code, Some(0));
    assert_eq!(interfaces(), [lo()]);
}
