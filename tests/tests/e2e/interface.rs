//! XDP on network interfaces that are there: which mode it runs in, what stands in its way, and
//! that nothing stays behind.

use nix::sys::signal::Signal;
use tests::{
    Limiter, World,
    cgroup::Cgroup,
    foreign_xdp::{self, ForeignXdp},
    limiter::{self, Failed},
    link::{self, AttachedXdp, XdpMode},
    programs::Programs,
    settle,
};

use crate::{CLIENT, LIMIT_10, SERVER};

#[test]
fn a_veth_runs_it_in_its_driver_and_loopback_in_the_network_stack() {
    let world = with_veth();
    let limiter = Limiter::start(
        &world,
        &flags(&["--interface", "edge0", "--interface", "lo"]),
    );
    assert_eq!(
        attached(&limiter),
        [
            "edge0: limiter_xdp Some(Native)",
            "lo: limiter_xdp Some(Generic)"
        ]
    );
    let (veth, loopback) = (only(&world, "edge0"), only(&world, "lo"));
    assert_eq!(
        (veth.mode, loopback.mode),
        (XdpMode::Native, XdpMode::Generic)
    );
    assert_eq!(veth.id, loopback.id, "one program");
    assert_eq!(link::xdp(&world.netns, "edge1"), []);
    limiter.must_say("attached to interface edge0: limiter_xdp, native mode");
    limiter.must_say(
        "attached to interface lo: limiter_xdp, generic mode (native mode: loopback has none)",
    );
    let text = limiter.cli_ok(&["status"]);
    assert!(
        text.contains("attached to interface edge0: limiter_xdp (native)\n"),
        "{text}"
    );

    let server = world.serve(&[SERVER]);
    let _open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());

    let (status, stderr) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{stderr}");
    assert_eq!(link::xdp(&world.netns, "edge0"), []);
    assert_eq!(link::xdp(&world.netns, "lo"), []);
}

#[test]
fn a_killed_limiter_leaves_no_program_on_an_interface() {
    let world = with_veth();
    let limiter = Limiter::start(
        &world,
        &flags(&["--interface", "edge0", "--interface", "lo"]),
    );
    limiter.end(Signal::SIGKILL);
    for device in ["edge0", "lo"] {
        settle("programs", Vec::new(), || link::xdp(&world.netns, device));
    }
}

#[test]
fn the_mode_can_be_chosen() {
    let world = with_veth();
    for (mode, expected) in [("native", XdpMode::Native), ("generic", XdpMode::Generic)] {
        let limiter = Limiter::start_config(&world, &config("edge0", mode));
        assert_eq!(only(&world, "edge0").mode, expected);
        assert_eq!(
            limiter.status().attached[1].mode.map(|it| it.as_str()),
            Some(mode)
        );
    }
}

#[test]
fn an_mtu_that_is_too_large_for_the_driver_ends_in_the_network_stack() {
    let world = with_jumbo_veth();
    let limiter = Limiter::start(&world, &flags(&["--interface", "edge0"]));
    assert_eq!(attached(&limiter), ["edge0: limiter_xdp Some(Generic)"]);
    assert_eq!(only(&world, "edge0").mode, XdpMode::Generic);
    limiter.must_say("(native mode: the MTU of the other end of this veth is too large");
    assert_eq!(link::mtu(&world.netns, "edge0"), JUMBO);
}

#[test]
fn native_mode_that_is_impossible_ends_the_start() {
    let world = with_jumbo_veth();
    for (device, cause, hint) in [
        ("edge0", "MTU", "lower the MTU, or use mode=auto"),
        ("lo", "loopback", "use mode=auto"),
    ] {
        let failed = must_fail(&world, &config(device, "native"));
        let stderr = &failed.stderr;
        assert!(
            stderr.contains(&format!("attach to interface {device}: native mode: ")),
            "{stderr}"
        );
        assert!(stderr.contains(cause) && stderr.contains(hint), "{stderr}");
        assert_eq!(link::xdp(&world.netns, device), []);
        assert_eq!(link::mtu(&world.netns, "edge0"), JUMBO);
    }
}

#[test]
fn one_interface_that_fails_leaves_the_others_alone() {
    let world = with_jumbo_veth();
    must_fail(
        &world,
        &format!("attach interface lo;{}", config("edge0", "native")),
    );
    assert_eq!(link::xdp(&world.netns, "lo"), []);
}

#[test]
fn the_program_of_somebody_else_is_never_replaced() {
    let world = with_veth();
    let theirs = ForeignXdp::load();
    let (native, generic) = (XdpMode::Native, XdpMode::Generic);
    for (there, by_link, mode) in [
        (native, true, "auto"),
        (native, true, "generic"),
        (native, false, "auto"),
        (native, false, "native"),
        (generic, true, "auto"),
        (generic, false, "auto"),
        (generic, false, "generic"),
    ] {
        let held = by_link.then(|| theirs.attach(&world.netns, "edge0", there));
        if !by_link {
            link::set_xdp(&world.netns, "edge0", Some(&theirs), there).expect("attach");
        }
        let before = only(&world, "edge0");
        let Failed { stderr, .. } = must_fail(&world, &config("edge0", mode));
        let program = format!("{} (id {}, ", foreign_xdp::NAME, before.id);
        assert!(
            stderr.contains("attach to interface edge0: ") && stderr.contains(&program),
            "{stderr}"
        );
        assert!(stderr.contains("\nhint: "), "{stderr}");
        assert_eq!(only(&world, "edge0"), before);
        drop(held);
        if !by_link {
            link::set_xdp(&world.netns, "edge0", None, there).expect("detach");
        }
    }
}

#[test]
fn the_program_of_another_limiter_is_not_replaced_either() {
    let world = with_veth();
    let first = Limiter::start(&world, &flags(&["--interface", "edge0"]));
    let mut command = limiter::command();
    let other = Cgroup::new();
    command.args(["run", "--limit", "10", "--interface", "edge0", "--cgroup"]);
    command.arg(other.path());
    let failed = Limiter::try_command(&world.netns, &world.path("second.sock"), command)
        .expect_err("the interface is taken");
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("limiter_xdp (id "),
        "{}",
        failed.stderr
    );
    assert_eq!(attached(&first), ["edge0: limiter_xdp Some(Native)"]);
    assert_eq!(only(&world, "edge0").mode, XdpMode::Native);
}

/// Too large for a page.
pub const JUMBO: u32 = 9000;

/// A world with a cable, `edge0` to `edge1`.
pub fn with_veth() -> World {
    let world = World::new();
    link::add_veth(&world.netns, "edge0", "edge1");
    world
}

fn with_jumbo_veth() -> World {
    let world = with_veth();
    for end in ["edge0", "edge1"] {
        link::set_mtu(&world.netns, end, JUMBO);
    }
    world
}

/// Ten connections per client address, and more flags.
pub fn flags<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&LIMIT_10, more].concat()
}

/// Ten connections per client address, and one interface.
pub fn config(device: &str, mode: &str) -> String {
    format!(
        "attach interface {device} mode={mode};
         limit_conn_zone $binary_remote_addr zone=addr:1m; limit_conn addr 10;"
    )
}

/// What is attached to interfaces, as the daemon says.
pub fn attached(limiter: &Limiter) -> Vec<String> {
    let attached = limiter.status().attached.into_iter();
    attached
        .filter(|it| it.kind == "interface")
        .map(|it| match it.waiting {
            Some(why) => {
                assert!(it.programs.is_empty() && it.mode.is_none(), "{why}");
                format!("{}: {why}", it.target)
            }
            None => format!("{}: {} {:?}", it.target, it.programs.join(" "), it.mode),
        })
        .collect()
}

/// The only program on a device.
///
/// # Panics
/// If there is none.
#[track_caller]
pub fn only(world: &World, device: &str) -> AttachedXdp {
    let [attached] = link::xdp(&world.netns, device)[..] else {
        panic!("no XDP program is attached to {device}");
    };
    attached
}

/// A start that must fail and leave nothing behind.
#[track_caller]
fn must_fail(world: &World, config: &str) -> Failed {
    let path = world.write("limiter.conf", &(world.attach() + config));
    let mut command = limiter::command();
    command.args(["run", "--config"]).arg(path);
    let failed = Limiter::try_command(&world.netns, &world.control(), command)
        .map(|_| ())
        .expect_err("must not start");
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
    assert!(!world.control().exists());
    failed
}
