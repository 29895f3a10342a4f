//! A bad configuration: one clear sentence, the place, and nothing changed.

use tests::{World, limiter, process::run, programs::Programs};

use self::cases::cases;

mod cases;

#[test]
fn check_names_file_line_and_cause_and_shows_the_line() {
    let world = World::new();
    for case in cases() {
        let path = world.write("bad.conf", &case.text);
        let mut command = limiter::command();
        command.arg("check").arg(&path);
        let output = run(command, None);
        let said = &output.stderr;
        assert_eq!(output.code, Some(2), "{}: {said}", case.title);
        assert_eq!(output.stdout, "", "{}", case.title);
        must_say(case.title, said, case.words);
        must_say(case.title, said, &["bad.conf:2:"]);
        let line = case.text.lines().nth(1).expect("two lines");
        must_say(case.title, said, &[line]);
        must_not_panic(case.title, said);
    }
}

#[test]
fn run_refuses_what_check_refuses_and_attaches_nothing() {
    let world = World::new();
    for case in cases() {
        // The directive stays on the first line, so that what is wrong stays on the second.
        let text = format!("{}{}", world.attach().replace('\n', " "), case.text);
        let path = world.write("bad.conf", &text);
        let mut command = limiter::command();
        command
            .args(["run", "--config"])
            .arg(path)
            .arg("--control")
            .arg(world.control());
        let output = run(command, None);
        assert_eq!(output.code, Some(2), "{}: {}", case.title, output.stderr);
        must_say(case.title, &output.stderr, case.words);
        must_say(case.title, &output.stderr, &["bad.conf:2:"]);
        must_not_panic(case.title, &output.stderr);
        assert_eq!(Programs::attached(world.cgroup.path()), Programs::NONE);
        assert!(!world.control().exists(), "{}", case.title);
    }
}

#[test]
fn a_configuration_that_does_not_exist_is_named() {
    let world = World::new();
    let missing = world.path("missing.conf");
    for verb in [&["check"][..], &["run", "--config"]] {
        let mut command = limiter::command();
        command.args(verb).arg(&missing);
        let output = run(command, None);
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        must_say(
            "missing file",
            &output.stderr,
            &["missing.conf", "No such file"],
        );
    }
}

#[test]
fn an_include_loop_is_an_error_that_names_the_files() {
    let world = World::new();
    world.write("inner.conf", "include outer.conf;\n");
    let outer = world.write("outer.conf", "include inner.conf;\n");
    let mut command = limiter::command();
    command.arg("check").arg(outer);
    let output = run(command, None);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    must_say(
        "include loop",
        &output.stderr,
        &["include", "loop", "outer.conf", "inner.conf"],
    );
}

#[test]
fn an_error_in_an_included_file_names_that_file() {
    let world = World::new();
    world.write("zones.conf", "limit_conn_zone $nothing zone=addr:1m;\n");
    let outer = world.write("outer.conf", "# comment\ninclude zones.conf;\n");
    let mut command = limiter::command();
    command.arg("check").arg(outer);
    let output = run(command, None);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    must_say(
        "included file",
        &output.stderr,
        &["zones.conf:1:", "nothing"],
    );
}

/// The text with frames, line breaks and runs of blanks taken out, as a person reads it.
pub(crate) fn plain(text: &str) -> String {
    text.replace(['│', '╭', '╰', '─', '·', '×'], " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[track_caller]
pub(crate) fn must_say(title: &str, said: &str, words: &[&str]) {
    let text = plain(said);
    for word in words {
        assert!(
            text.contains(&plain(word)),
            "{title}: the message must contain {word:?}:\n{said}"
        );
    }
}

#[track_caller]
fn must_not_panic(title: &str, said: &str) {
    assert!(!said.contains("panicked"), "{title}: {said}");
}
