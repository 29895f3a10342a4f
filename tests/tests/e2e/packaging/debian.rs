//! Debian's tools are content, and what is installed is removed again.

use std::collections::BTreeSet;

use tests::{Machine, World, package, settle};

use super::{PACKAGE, UNIT, settle_active};

/// What stays of any package and any boot: dpkg's and systemd's own books, logs and caches.
const NOT_OURS: [&str; 8] = [
    "/var/lib/dpkg/",
    "/var/lib/systemd/",
    "/var/cache/",
    "/var/log/",
    "/run/",
    "/tmp/",
    "/var/tmp/",
    "/root/",
];

fn files(machine: &Machine) -> BTreeSet<String> {
    let all = machine.sh(
        "find / \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -printf '%p %m %u:%g\\n'",
    );
    let is_ours = |line: &&str| !NOT_OURS.iter().any(|path| line.starts_with(path));
    all.lines().filter(is_ours).map(str::to_owned).collect()
}

#[test]
fn lintian_finds_no_error_and_systemd_none_in_the_unit() {
    let world = World::new();
    let machine = Machine::boot(&world, &[package::built()]);
    // That one is about packages of the archive.
    let said = machine.ok(&[
        "lintian",
        "--allow-root",
        "--fail-on=error,warning",
        "--suppress-tags=initial-upload-closes-no-bugs",
        PACKAGE,
    ]);
    assert_eq!(said, "");
    machine.ok(&["dpkg", "--install", PACKAGE]);
    let verified = machine.run(&["systemd-analyze", "verify", UNIT]);
    assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_package_installs_keeps_what_was_edited_and_leaves_nothing() {
    let world = World::new();
    let machine = Machine::boot(&world, &[package::built()]);
    let before = files(&machine);

    machine.ok(&["dpkg", "--install", PACKAGE]);
    let installed = files(&machine);
    for line in [
        "/usr/bin/limiter 755 root:root",
        "/etc/limiter/limiter.conf 644 root:root",
        "/etc/logrotate.d/limiter 644 root:root",
        "/usr/lib/systemd/system/limiter.service 644 root:root",
        "/usr/share/man/man1/limiter.1.gz 644 root:root",
        "/usr/share/man/man1/limiter-run.1.gz 644 root:root",
        "/usr/share/man/man5/limiter.conf.5.gz 644 root:root",
        "/usr/share/bash-completion/completions/limiter 644 root:root",
        "/usr/share/zsh/vendor-completions/_limiter 644 root:root",
        "/usr/share/fish/vendor_completions.d/limiter.fish 644 root:root",
        "/usr/share/doc/limiter/examples/limiter.json 644 root:root",
        "/usr/share/doc/limiter/limiter.cdx.json 644 root:root",
        "/usr/share/doc/limiter/examples/limiter.rules.yml 644 root:root",
    ] {
        assert!(installed.contains(line), "{line}");
    }
    for page in ["limiter", "limiter-run", "limiter.conf"] {
        let shown = machine.run(&["man", "--warnings", page]);
        assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{page}");
        assert!(shown.stdout.contains("NAME"), "{page}");
    }
    let checked = machine.run(&["limiter", "check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.stderr.contains("nothing is limited"));

    // Every directive in it, once it is none of a comment any more.
    machine.sh("sed -E 's/^#(([a-z}]|    [a-z]).*)$/\\1/; /attach/d' /etc/limiter/limiter.conf > /root/all.conf");
    let all = machine.run(&["limiter", "check", "/root/all.conf"]);
    assert_eq!((all.code, all.stderr.as_str()), (Some(0), ""));
    for part in [
        "limit_conn addr 20;",
        "server_name web;",
        "limit_conn_dry_run on;",
    ] {
        assert!(all.stdout.contains(part), "{part} in {}", all.stdout);
    }

    machine.sh("echo 'error_log stderr info;' >> /etc/limiter/limiter.conf");
    machine.ok(&["dpkg", "--install", PACKAGE]);
    upgrade(&machine);
    let kept = machine.sh("cat /etc/limiter/limiter.conf");
    assert!(kept.ends_with("error_log stderr info;"), "{kept}");
    settle_active(&machine);
    let log = machine.sh("journalctl --sync; journalctl --unit limiter --output=cat --no-pager");
    assert!(
        !log.contains("nothing is limited any more"),
        "at every moment of the upgrade it was in force: {log}"
    );
    assert!(log.contains("took over"), "{log}");

    // Killed for good, it has left something in the kernel.
    machine.sh("mkdir /run/systemd/system/limiter.service.d
        printf '[Service]\\nRestart=no\\n' > /run/systemd/system/limiter.service.d/once.conf
        systemctl daemon-reload; systemctl kill --signal=KILL limiter");
    settle("ends", "failed".to_owned(), || {
        machine.property(UNIT, "ActiveState")
    });
    machine.sh("test -e /sys/fs/bpf/limiter/default/maps/TOKENS");
    machine.ok(&["systemctl", "reset-failed", UNIT]);
    machine.ok(&["dpkg", "--remove", "limiter"]);
    machine.sh("test ! -e /sys/fs/bpf/limiter/default");
    let state = machine.run(&["systemctl", "is-active", UNIT]);
    assert_eq!(state.stdout.trim(), "inactive");
    machine.sh("test -e /etc/limiter/limiter.conf; test ! -e /usr/bin/limiter");
    // And installed again, it is what it was.
    machine.ok(&["dpkg", "--force-confold", "--install", PACKAGE]);
    settle_active(&machine);
    machine.sh("grep -q 'error_log stderr info;' /etc/limiter/limiter.conf");

    machine.ok(&["dpkg", "--purge", "limiter"]);
    machine.sh("test ! -e /etc/limiter; test ! -e /run/limiter; test ! -e /var/log/limiter");
    let after = files(&machine);
    let differences: Vec<_> = before.symmetric_difference(&after).collect();
    assert!(differences.is_empty(), "{differences:?}");
}

/// To a version that comes with another configuration.
fn upgrade(machine: &Machine) {
    settle_active(machine);
    let before = machine.property(UNIT, "MainPID");
    machine.sh("cd /root; dpkg-deb --raw-extract limiter-test.deb next
        sed -i 's/^Version:.*/Version: 99/' next/DEBIAN/control
        echo '# and more' >> next/etc/limiter/limiter.conf
        dpkg-deb --build -Znone next next.deb
        dpkg --force-confdef --force-confold --install next.deb");
    assert_ne!(
        machine.property(UNIT, "MainPID"),
        before,
        "the daemon is the new one"
    );
    machine.sh("grep -q 'and more' /etc/limiter/limiter.conf.dpkg-dist");
}
