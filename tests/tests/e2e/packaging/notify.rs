//! What a service manager is told: sd_notify(3).

use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::Command,
    time::{Duration, Instant},
};

use nix::{sys::signal::Signal, sys::stat::Mode, unistd::mkfifo};
use tests::{Limiter, World, limiter, settle::PATIENCE};

const CONFIGURATION: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 1;";

/// In place of the service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn new(world: &World) -> Self {
        let socket = UnixDatagram::bind(world.path("notify")).expect("bind a socket");
        Self(socket)
    }

    /// `limiter run`, as a service manager starts it.
    fn start(&self, world: &World, watchdog: Option<Duration>) -> Limiter {
        let file = world.write("limiter.conf", &(world.attach() + CONFIGURATION));
        let mut command: Command = limiter::command();
        command
            .args(["run", "--config"])
            .arg(file)
            .env("NOTIFY_SOCKET", world.path("notify"));
        if let Some(watchdog) = watchdog {
            command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
        Limiter::try_command(&world.netns, &world.control(), command)
            .unwrap_or_else(|failed| panic!("{}", failed.stderr))
    }

    /// The next message.
    #[track_caller]
    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        self.0.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let length = self.0.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..length].to_vec()).expect("UTF-8")
    }

    /// The next message that is no ping.
    #[track_caller]
    fn next_but_pings(&self) -> String {
        loop {
            let message = self.next();
            if message != PING {
                return message;
            }
        }
    }

    #[track_caller]
    fn must_see_a_reload(&self) {
        let begins = self.next_but_pings();
        let time = begins.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let time: u64 = time.expect(&begins).trim().parse().expect(&begins);
        assert!(time > 0);
        assert_eq!(self.next_but_pings(), READY);
    }
}

const READY: &str = "READY=1\n";
const PING: &str = "WATCHDOG=1\n";
const STOPPING: &str = "STOPPING=1\n";

#[test]
fn the_manager_is_told_of_start_reload_and_stop() {
    let world = World::new();
    let manager = Manager::new(&world);
    let limiter = manager.start(&world, None);
    assert_eq!(manager.next(), READY);
    limiter.reload(&world, CONFIGURATION);
    manager.must_see_a_reload();
    limiter.signal(Signal::SIGHUP);
    manager.must_see_a_reload();
    // One that fails is over, too.
    world.write("limiter.conf", "limit_con addr 1;");
    assert_eq!(limiter.cli(&["reload"]).code, Some(2));
    manager.must_see_a_reload();
    limiter.end(Signal::SIGTERM);
    assert_eq!(manager.next(), STOPPING);
}

#[test]
fn pings_come_twice_in_the_time_of_the_watchdog_also_while_a_reload_takes_long() {
    let world = World::new();
    let manager = Manager::new(&world);
    let watchdog = Duration::from_millis(400);
    let begin = Instant::now();
    let limiter = manager.start(&world, Some(watchdog));
    assert_eq!(manager.next(), READY);
    let ready = Instant::now();
    assert_eq!(manager.next(), PING);
    for _ in 0..5 {
        assert_eq!(manager.next(), PING);
    }
    assert!(
        begin.elapsed() >= watchdog / 2 * 5,
        "half of the time is between them: {:?}",
        ready.elapsed()
    );

    // A reload that waits for its file, with the state in its hands.
    let path = world.path("limiter.conf");
    fs::remove_file(&path).expect("remove the file");
    mkfifo(&path, Mode::S_IRWXU).expect("make a pipe");
    limiter.signal(Signal::SIGHUP);
    while !manager.next().starts_with("RELOADING=1\n") {}
    for _ in 0..6 {
        assert_eq!(manager.next(), PING);
    }
    fs::write(&path, world.attach() + CONFIGURATION).expect("write into the pipe");
    assert_eq!(manager.next_but_pings(), READY);
    assert_eq!(manager.next(), PING);
    limiter.end(Signal::SIGTERM);
    assert_eq!(manager.next_but_pings(), STOPPING);
}

#[test]
fn without_a_manager_that_listens_everything_goes_on() {
    let world = World::new();
    let manager = Manager::new(&world);
    drop(manager);
    fs::remove_file(world.path("notify")).expect("remove the socket");
    let manager = Manager(UnixDatagram::unbound().expect("a socket"));
    let limiter = manager.start(&world, Some(Duration::from_millis(100)));
    limiter.reload(&world, CONFIGURATION);
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("tell the service manager"), "{said}");
}
