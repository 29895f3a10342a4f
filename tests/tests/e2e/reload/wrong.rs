//! A reload that fails changes nothing.

use nix::sys::signal::Signal;
use tests::{Limiter, World, settle};

use crate::{CLIENT, SERVER};

const GOOD: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;
server { listen 8080; limit_conn addr 2; }
";

#[test]
fn an_error_in_the_file_is_shown_with_its_place_and_the_old_policy_goes_on() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, GOOD);
    let _open = world.open_many(CLIENT, server.address(), 2);
    let before = limiter.status();
    let lines = world.attach().lines().count();
    let bad = GOOD.replace("2;", "0;");
    let path = world.write("limiter.conf", &(world.attach() + &bad));
    let output = limiter.cli(&["reload"]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    let place = format!("{}:{}:", path.display(), lines + 2);
    assert!(output.stderr.contains(&place), "{}", output.stderr);
    let line = "server { listen 8080; limit_conn addr 0; }";
    assert!(output.stderr.contains(line), "{}", output.stderr);
    // By signal it stands in the log, in one line.
    limiter.signal(Signal::SIGHUP);
    let logged = format!("[error] reload: {place}");
    settle("two lines in the log", 2, || {
        limiter.stderr().matches(&logged).count()
    });

    std::fs::remove_file(&path).expect("remove");
    let output = limiter.cli(&["reload"]);
    assert_eq!(output.code, Some(2));
    let missing = output.stderr.contains("No such file or directory");
    assert!(missing, "{}", output.stderr);

    let after = limiter.status();
    assert_eq!(after.servers, before.servers);
    assert_eq!(after.zones, before.zones);
    world.must_be_refused(CLIENT, server.address());
}

#[test]
fn what_cannot_be_changed_while_it_runs_is_said() {
    let world = World::new();
    let limiter = Limiter::start_config(&world, GOOD);
    let before = limiter.status().servers;
    let parent = world.cgroup.path().parent().expect("a parent");
    let elsewhere = format!("attach cgroup {};\n{GOOD}", tests::world::quoted(parent));
    world.write("limiter.conf", &elsewhere.replace("2;", "7;"));
    let output = limiter.cli(&["reload"]);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let hint = "`attach cgroup` takes effect at the next start";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
    assert_eq!(limiter.status().servers, before, "not even the limit");

    let reloaded = limiter.reload(&world, &format!("error_log stderr info;\n{GOOD}"));
    let waits = "warning: error_log has changed: that takes effect at the next start\n";
    assert_eq!(reloaded.warnings, [waits]);
}

#[test]
fn a_hangup_reloads_and_does_not_end_the_daemon() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let mut limiter = Limiter::start_config(&world, GOOD);
    world.write(
        "limiter.conf",
        &(world.attach() + &GOOD.replace("2;", "4;")),
    );
    for _ in 0..20 {
        limiter.signal(Signal::SIGHUP);
    }
    settle("limit", 4, || limiter.status().servers[0].limits[0].limit);
    assert!(limiter.runs());
    let _open = world.open_many(CLIENT, server.address(), 4);
    world.must_be_refused(CLIENT, server.address());
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    assert!(
        said.contains("[notice] policy reloaded, servers: 1, zones: 1"),
        "{said}"
    );
}
