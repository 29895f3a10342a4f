//! Every command and every route, as everybody.

use std::{io::ErrorKind, path::PathBuf};

use ::limiter::api::{ServerStatus, ZoneStatus};
use nix::sys::stat::stat;
use tests::{
    Limiter, User, World,
    http::{self, Response},
    settle,
    user::open_world,
};

use super::{GID, UID, somebody};
use crate::{CLIENT, SERVER, ZONE};

const READING: [&[&str]; 5] = [
    &["connections"],
    &["status"],
    &["zones"],
    &["zones", "addr"],
    &["status", "--json"],
];
const CHANGING: [&[&str]; 8] = [
    &["dry-run", "on"],
    &["log-level", "info"],
    &["action", "reset"],
    &["limit", "addr", "5"],
    &["exempt", "add", "10.0.0.0/8"],
    &["exempt", "remove", "10.0.0.0/8"],
    &["reset"],
    &["reload"],
];
const READING_ROUTES: [&str; 6] = [
    "/connections",
    "/status",
    "/zones",
    "/zones/addr",
    "/zones/addr?top=3",
    "/events",
];
const CHANGING_ROUTES: [(&str, &str); 8] = [
    ("/dry-run", "{\"on\":true}"),
    ("/log-level", "{\"level\":\"info\"}"),
    ("/action", "{\"action\":\"reset\"}"),
    ("/limit", "{\"zone\":\"addr\",\"number\":5}"),
    ("/exempt", "{\"add\":\"10.0.0.0/8\"}"),
    ("/exempt", "{\"remove\":\"10.0.0.0/8\"}"),
    ("/reset", "{}"),
    ("/reload", "{}"),
];

/// A limiter with something to change, and something counted.
struct Scene {
    limiter: Limiter,
    binary: PathBuf,
    _server: tests::Server,
    // Last: it wants nothing to be left of the limiter.
    world: World,
}

impl Scene {
    fn new(flags: &[&str]) -> Self {
        let world = World::new();
        let binary = open_world(&world);
        let server = world.serve(&[SERVER]);
        let limiter = Limiter::start(
            &world,
            &[&["--listen", "8080", "--limit", "1"], flags].concat(),
        );
        let _open = world.open(CLIENT, server.address());
        world.must_be_refused(CLIENT, server.address());
        Self {
            world,
            limiter,
            binary,
            _server: server,
        }
    }

    /// What somebody could have changed.
    fn state(&self) -> (Vec<ServerStatus>, u64, u64) {
        let ZoneStatus {
            passed, rejected, ..
        } = self.limiter.zone(ZONE);
        (self.limiter.status().servers, passed, rejected)
    }

    fn mode_and_group(&self) -> (u32, u32) {
        let stat = stat(&self.world.control()).expect("a socket");
        (stat.st_mode & 0o777, stat.st_gid)
    }

    fn cli(&self, user: &User, arguments: &[&str]) -> tests::process::Output {
        user.cli(&self.binary, self.limiter.control(), arguments)
    }

    #[track_caller]
    fn must_fail(&self, user: &User, commands: &[&[&str]], parts: &[&str]) {
        for arguments in commands {
            let output = self.cli(user, arguments);
            assert_eq!(output.code, Some(1), "{arguments:?}: {}", output.stderr);
            assert_eq!(output.stdout, "", "{arguments:?}");
            for part in parts {
                assert!(
                    output.stderr.contains(part),
                    "{arguments:?}: {part:?} in {}",
                    output.stderr
                );
            }
        }
    }

    #[track_caller]
    fn must_succeed(&self, user: &User, commands: &[&[&str]]) {
        for arguments in commands {
            let output = self.cli(user, arguments);
            // There is no file to read again in these tests, so a reload takes the flags once more.
            assert_eq!(output.code, Some(0), "{arguments:?}: {}", output.stderr);
        }
    }

    fn ask(&self, user: &User, method: &str, target: &str, body: Option<&str>) -> Response {
        user.act(|| http::request(self.limiter.control(), method, target, body))
            .unwrap_or_else(|e| panic!("{method} {target}: {e}"))
    }

    #[track_caller]
    fn must_be_forbidden(&self, user: &User, method: &str, target: &str, body: Option<&str>) {
        let answer = self.ask(user, method, target, body);
        assert_eq!(answer.status, 403, "{method} {target}: {}", answer.body);
        let error = &answer.json()["error"];
        assert_eq!(
            (&error["status"], &error["code"]),
            (&403.into(), &"Forbidden".into())
        );
        let text = error["text"].as_str().expect("a sentence");
        assert!(text.contains(&format!("uid {UID} may not")), "{text}");
        assert!(
            text.contains("root") && text.contains("run it as root"),
            "{text}"
        );
    }
}

#[test]
fn where_nothing_is_granted_nobody_but_root_gets_in() {
    let scene = Scene::new(&[]);
    assert_eq!(scene.mode_and_group(), (0o660, 0));
    let before = scene.state();
    let user = somebody();
    let denied = user.act(|| http::connect(scene.limiter.control()));
    let denied = denied.map(drop).expect_err("nobody may");
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    let parts = [
        "may not open control socket",
        "only root may",
        "hint: run it as root",
    ];
    scene.must_fail(&user, &READING, &parts);
    scene.must_fail(&user, &CHANGING, &parts);
    scene.must_fail(&user, &[&["events"]], &parts);

    // A member of root's own group gets past the file, not past the daemon.
    let stranger = User::new(UID, &[0]);
    for route in READING_ROUTES.into_iter().chain(["/", "/nothing"]) {
        scene.must_be_forbidden(&stranger, "GET", route, None);
    }
    for (route, body) in CHANGING_ROUTES {
        scene.must_be_forbidden(&stranger, "POST", route, Some(body));
        scene.must_be_forbidden(&stranger, "POST", route, Some("{"));
    }
    scene.must_be_forbidden(&stranger, "POST", "/detach", None);
    let parts = [
        "uid 4201001 may not read anything here, only root may",
        "--control-group",
    ];
    scene.must_fail(&stranger, &READING, &parts);
    scene.must_fail(&stranger, &[&["events"]], &parts);
    scene.must_fail(&stranger, &CHANGING[..1], &["may not read anything"]);
    assert_eq!(scene.state(), before);
}

#[test]
fn where_others_may_read_they_read_everything_and_change_nothing() {
    let scene = Scene::new(&["--control-others", "read"]);
    assert_eq!(scene.mode_and_group(), (0o666, 0));
    let before = scene.state();
    let user = somebody();
    scene.must_succeed(&user, &READING);
    for route in &READING_ROUTES[..4] {
        assert_eq!(scene.ask(&user, "GET", route, None).status, 200, "{route}");
    }
    // Nothing else is hidden from them.
    assert_eq!(scene.ask(&user, "GET", "/nothing", None).status, 404);
    user.act(|| drop(http::Events::subscribe(scene.limiter.control(), "?all=1")));
    let parts = ["uid 4201001 may not change anything here, only root may: run it as root"];
    scene.must_fail(&user, &CHANGING, &parts);
    for (route, body) in CHANGING_ROUTES {
        scene.must_be_forbidden(&user, "POST", route, Some(body));
        // Whoever may not ask is not told what is wrong with the question.
        scene.must_be_forbidden(&user, "POST", route, Some("{"));
    }
    scene.must_be_forbidden(&user, "POST", "/detach", None);
    assert_eq!(scene.state(), before);
}

#[test]
fn members_of_the_group_may_do_everything_others_are_told_of_it() {
    let group = GID.to_string();
    let mut scene = Scene::new(&["--control-group", &group]);
    assert_eq!(scene.mode_and_group(), (0o660, GID));
    let parts = [
        "only root and the members of group \"4201900\" may",
        "become a member",
    ];
    scene.must_fail(&somebody(), &READING, &parts);
    scene.must_fail(&somebody(), &CHANGING, &parts);

    let member = User::new(UID, &[4_201_901, GID]);
    scene.must_succeed(&member, &READING);
    scene.must_succeed(&member, &CHANGING);
    for route in &READING_ROUTES[..4] {
        assert_eq!(
            scene.ask(&member, "GET", route, None).status,
            200,
            "{route}"
        );
    }
    for (route, body) in CHANGING_ROUTES {
        let answer = scene.ask(&member, "POST", route, Some(body));
        assert!(
            (200..300).contains(&answer.status),
            "{route}: {}",
            answer.body
        );
    }
    // Its own group counts as well.
    let by_its_own = User::new(GID, &[]);
    scene.must_succeed(&by_its_own, &[&["limit", "addr", "7"]]);
    assert_eq!(scene.limiter.status().servers[0].limits[0].limit, 7);
    assert_eq!(
        scene.ask(&member, "POST", "/detach", Some("{}")).status,
        204
    );
    settle("runs", false, || scene.limiter.runs());
}

#[test]
fn a_file_says_it_as_the_flags_do_and_a_reload_leaves_it() {
    let world = World::new();
    let binary = open_world(&world);
    let limits = "limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 1;";
    let control = world.control();
    let control = control.display();
    let text = format!("{limits} control {control} others=read group={GID};");
    let limiter = Limiter::start_config(&world, &text);
    let member = User::new(UID, &[GID]);
    let done = member.cli(&binary, limiter.control(), &["limit", "addr", "2"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let read = somebody().cli(&binary, limiter.control(), &["status"]);
    assert_eq!(read.code, Some(0), "{}", read.stderr);
    let refused = somebody().cli(&binary, limiter.control(), &["reload"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("may not change anything here")
            && refused.stderr.contains("group \"4201900\""),
        "{}",
        refused.stderr
    );

    let reloaded = limiter.reload(&world, &format!("{limits} control {control};"));
    let told = reloaded.warnings.concat();
    assert!(
        told.contains("control has changed: that takes effect at the next start"),
        "{told}"
    );
    let done = member.cli(&binary, limiter.control(), &["limit", "addr", "3"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
}
