//! Who holds the slots: the open connections, one by one.

mod elsewhere;

use std::{
    fs,
    io::ErrorKind,
    net::{Shutdown, SocketAddr, TcpStream},
};

use limiter::api::{ConnectionList, ConnectionStatus, ProcessStatus, TcpState};
use tests::{Limiter, Server, World, client, settle, settle::PATIENCE, world::address};

use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

const CONFIG: &str = "
    limit_conn_zone $binary_remote_addr zone=addr:1m;
    limit_conn_zone $server_name$server_port zone=all:1m;
    server {
        server_name web; listen 8080; limit_conn_dry_run on;
        limit_conn addr 3; limit_conn all 100;
        limit_conn_override addr 127.0.0.6/32 9;
    }
    server { server_name other; listen 8081; limit_conn addr 50; }
";

/// What the test knows of a connection it has made.
fn ends(stream: &TcpStream) -> (SocketAddr, SocketAddr) {
    let error = "the address of a socket";
    (
        stream.local_addr().expect(error),
        stream.peer_addr().expect(error),
    )
}

fn list(limiter: &Limiter, arguments: &[&str]) -> ConnectionList {
    let arguments = [&["connections", "--json"], arguments].concat();
    let text = limiter.cli_ok(&arguments);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The one of these ends.
#[track_caller]
fn of<'a>(list: &'a ConnectionList, stream: &TcpStream) -> &'a ConnectionStatus {
    let (client, server) = ends(stream);
    let mut found = list.connections.iter().filter(|it| {
        (it.remote_addr, it.remote_port) == (client.ip(), client.port())
            && (it.local_addr, it.local_port) == (server.ip(), server.port())
    });
    let one = found
        .next()
        .unwrap_or_else(|| panic!("{client} is not in {list:?}"));
    assert!(found.next().is_none(), "{client} is there twice");
    one
}

#[test]
fn every_connection_is_listed_with_what_the_test_knows_of_it() {
    let world = World::new();
    let mut server = world.serve(&[SERVER, "127.0.0.1:8081"]);
    let limiter = Limiter::start_config(&world, CONFIG);

    let mut many = Vec::new();
    for _ in 0..5 {
        many.push(world.open(CLIENT, server.address()));
    }
    let mut half_closed = world.open("127.0.0.3", server.address());
    client::half_close_by_server(&mut half_closed).expect("the server's direction is closed");
    let other = world.open("127.0.0.3", "127.0.0.1:8081".parse().expect("literal"));
    let favoured = world.open_many("127.0.0.6", server.address(), 5);
    server.command("pause");
    let queued = world.netns.run(|| {
        client::connect_here(address("127.0.0.4"), server.address(), PATIENCE).expect("connect")
    });
    settle("connections", 13, || list(&limiter, &[]).matching);
    // The client acknowledges the FIN when its timer says so.
    settle("half closed", TcpState::FinWait2, || {
        of(&list(&limiter, &[]), &half_closed).state
    });

    let all = list(&limiter, &[]);
    assert_eq!((all.connections.len(), all.missing), (13, 0));
    assert_eq!(all.hidden_processes, hidden_from_root());
    let owner = [ProcessStatus {
        pid: server.id(),
        name: "peer".to_owned(),
    }];
    for stream in many.iter().chain(&favoured).chain([&half_closed]) {
        let one = of(&all, stream);
        assert_eq!(one.server.as_deref(), Some("web"));
        assert_eq!(one.processes, owner);
        let slots: Vec<_> = one.slots.iter().map(|slot| slot.zone.as_str()).collect();
        assert_eq!(slots, ["addr", "all"]);
        let slot = &one.slots[1];
        assert_eq!(
            (slot.parts.server_name.as_deref(), slot.parts.server_port),
            (Some("web"), Some(8080))
        );
        assert_eq!((slot.parts.remote_addr, slot.connections), (None, 12));
        assert_eq!((slot.limit, slot.excess), (Some(100), false));
    }
    // In the order in which they were opened.
    assert_eq!(&all.connections[0], of(&all, &many[0]));
    let ages: Vec<_> = all.connections.iter().map(|it| it.age_ms).collect();
    assert!(ages.iter().all(Option::is_some), "{ages:?}");
    assert!(
        ages.is_sorted_by(|older, younger| older >= younger),
        "{ages:?}"
    );

    // Dry run lets all pass; the two that came last are more than the limit.
    let excess: Vec<_> = many.iter().map(|stream| of(&all, stream).excess).collect();
    assert_eq!(excess, [false, false, false, true, true]);
    let slot = &of(&all, &many[4]).slots[0];
    assert_eq!((slot.connections, slot.limit), (5, Some(3)));
    assert_eq!(slot.parts.remote_addr, Some(address(CLIENT)));
    for stream in &favoured {
        let one = of(&all, stream);
        assert_eq!((one.excess, one.slots[0].limit), (false, Some(9)));
    }

    assert_eq!(of(&all, &many[0]).state, TcpState::Established);
    assert_eq!(of(&all, &half_closed).state, TcpState::FinWait2);
    let one = of(&all, &other);
    assert_eq!(one.server.as_deref(), Some("other"));
    assert_eq!((one.slots.len(), one.slots[0].connections), (1, 2));
    let one = of(&all, &queued);
    assert!(one.processes.is_empty(), "nobody has accepted it: {one:?}");

    choices(&limiter, &all);

    // One less that is older, and another one is within the limit.
    client::reset(many.remove(0)).expect("reset");
    settle("connections", 12, || list(&limiter, &[]).matching);
    let all = list(&limiter, &[]);
    let excess: Vec<_> = many.iter().map(|stream| of(&all, stream).excess).collect();
    assert_eq!(excess, [false, false, false, true]);

    server.kill();
    settle("connections", 0, || list(&limiter, &[]).matching);
    limiter.must_be_exact(ZONE);
}

/// Zone, key and number.
fn choices(limiter: &Limiter, all: &ConnectionList) {
    for (arguments, matching) in [
        (&["--zone", "all"][..], 12),
        (&["--zone", "addr"], 13),
        (&["--key", "127.0.0.3"], 2),
        (&["--zone", "all", "--key", "127.0.0.3"], 0),
        (&["--key", "127.0.0.4/30"], 11),
        (&["--key", "8080"], 12),
        (&["--zone", "all", "--key", "web"], 12),
        (&["--key", "192.0.2.1"], 0),
    ] {
        let list = list(limiter, arguments);
        assert_eq!(list.matching, matching, "{arguments:?}");
        assert_eq!(list.connections.len() as u64, matching, "{arguments:?}");
    }
    for count in [0, 1, 3, 13, 14] {
        let list = list(limiter, &["-n", &count.to_string()]);
        assert_eq!(list.matching, 13);
        let shown: Vec<_> = list.connections.iter().map(|it| it.remote_port).collect();
        let expected = all.connections.iter().map(|it| it.remote_port);
        assert_eq!(shown, expected.take(count).collect::<Vec<_>>());
    }
    let text = limiter.cli(&["connections", "-n", "2"]);
    assert_eq!(text.stdout.lines().count(), 3, "{}", text.stdout);
    assert!(text.stderr.contains("11 more"), "{}", text.stderr);
    let wrong = limiter.cli(&["connections", "--zone", "nothing"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(1), ""));
    assert!(wrong.stderr.contains("nothing"), "{}", wrong.stderr);
}

#[test]
fn one_that_was_open_before_comes_first_and_nobody_knows_its_age() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let adopted = world.open(CLIENT, server.address());
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _later = world.open_many(CLIENT, server.address(), 2);
    let all = list(&limiter, &[]);
    assert_eq!(&all.connections[0], of(&all, &adopted));
    let is_known: Vec<_> = all
        .connections
        .iter()
        .map(|it| it.age_ms.is_some())
        .collect();
    assert_eq!(is_known, [false, true, true]);
    let text = limiter.cli_ok(&["connections", "-n", "1"]);
    let line = text.lines().nth(1);
    assert!(line.is_some_and(|it| it.contains(" unknown ")), "{text}");
}

#[test]
fn what_the_policy_in_force_does_not_count_holds_no_slot_and_is_not_listed() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let _adopted = world.open(CLIENT, server.address());
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _counted = world.open(CLIENT, server.address());
    assert_eq!(list(&limiter, &[]).matching, 2);
    limiter.cli_ok(&["exempt", "add", CLIENT]);
    let _never = world.open(CLIENT, server.address());
    assert_eq!(list(&limiter, &[]), ConnectionList::default());
    limiter.cli_ok(&["exempt", "remove", CLIENT]);
    assert_eq!(list(&limiter, &[]).matching, 3);
}

#[test]
fn one_that_the_client_has_closed_and_the_server_has_not_still_holds_its_slot() {
    let world = World::new();
    let mut server = Server::start(&world, &[SERVER], &["--hold"]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let stream = world.open(CLIENT, server.address());
    stream.shutdown(Shutdown::Write).expect("shut down");
    settle("state", TcpState::CloseWait, || {
        of(&list(&limiter, &[]), &stream).state
    });
    // Both have closed now.
    server.command("close");
    drop(stream);
    settle("connections", 0, || list(&limiter, &[]).matching);
}

/// Processes that even root may not look at here, as some security modules have it.
fn hidden_from_root() -> u64 {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let denied = processes.filter(|process| {
        let error = fs::read_dir(process.path().join("fdinfo")).err();
        error.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
    });
    denied.count() as u64
}
