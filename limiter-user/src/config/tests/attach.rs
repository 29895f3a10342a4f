//! `attach`

use super::errors::check;
use crate::{
    config::{parse, render},
    policy::XdpMode,
};

#[test]
fn an_interface_has_a_mode() {
    let text = "attach cgroup /sys/fs/cgroup;
        attach interface a; attach interface b mode=auto;
        stream { attach interface c mode=native; attach interface d mode=generic; }";
    let policy = parse("t.conf", text).expect("valid").policy;
    let interfaces: Vec<_> = policy
        .interfaces()
        .map(|interface| (interface.name.as_str(), interface.mode))
        .collect();
    let expected = [
        ("a", XdpMode::Auto),
        ("b", XdpMode::Auto),
        ("c", XdpMode::Native),
        ("d", XdpMode::Generic),
    ];
    assert_eq!(interfaces, expected);
    assert_eq!(policy.cgroups().count(), 1);
}

#[test]
fn what_it_is_attached_to() {
    check(&[
        (
            "attach socket /a;",
            r#"1:8: invalid value "socket" in "attach" directive, it must be "cgroup" or "interface""#,
        ),
        (
            "attach interface;",
            r#"1:17: invalid number of arguments in "attach" directive"#,
        ),
        (
            "server { attach interface eth0; }",
            r#"1:10: "attach" directive is not allowed here"#,
        ),
        (
            &(0..65)
                .map(|i| format!("attach interface eth{i};\n"))
                .collect::<String>(),
            "65:1: too many interfaces, 64 at the most",
        ),
        (
            &(0..65)
                .map(|i| format!("attach interface eth{i}; attach cgroup /{i};\n"))
                .collect::<String>(),
            "65:1: too many interfaces, 64 at the most",
        ),
    ]);
}

#[test]
fn cgroups() {
    check(&[
        (
            "attach cgroup system.slice;",
            r#"1:15: "system.slice" is not an absolute path in "attach" directive"#,
        ),
        (
            "attach cgroup /sys/fs/cgroup/a;\nattach cgroup /sys/fs/cgroup/a/;",
            r#"2:1: "attach" directive is duplicate"#,
        ),
        (
            "attach cgroup /a mode=auto;",
            r#"1:18: invalid parameter "mode=auto""#,
        ),
    ]);
}

#[test]
fn interfaces() {
    check(&[
        (
            "attach interface eth0/1;",
            r#"1:18: invalid interface name "eth0/1""#,
        ),
        ("attach interface '';", r#"1:18: invalid interface name """#),
        (
            "attach interface 'eth 0';",
            r#"1:18: invalid interface name "eth 0""#,
        ),
        (
            "attach interface 0123456789abcdef;",
            r#"1:18: invalid interface name "0123456789abcdef""#,
        ),
        (
            "attach interface eth0 mode=fast;",
            r#"1:23: invalid value "mode=fast" in "attach" directive, it must be "auto", "native" or "generic""#,
        ),
        (
            "attach interface eth0 mode=;",
            r#"1:23: invalid value "mode=" in "attach" directive, it must be "auto", "native" or "generic""#,
        ),
        (
            "attach interface eth0 native;",
            r#"1:23: invalid parameter "native""#,
        ),
        (
            "attach interface eth0 mode=auto mode=auto;",
            r#"1:33: invalid number of arguments in "attach" directive"#,
        ),
        (
            "attach interface eth0;\n attach interface eth0 mode=generic;",
            r#"2:2: "attach" directive is duplicate"#,
        ),
    ]);
}

#[test]
fn an_unknown_parameter_is_answered_with_the_known_one() {
    let error = parse("t.conf", "attach interface eth0 speed=1;").expect_err("unknown");
    let rendered = render(&error, false);
    assert!(
        rendered.contains("expected mode=auto|native|generic"),
        "{rendered}"
    );
}
