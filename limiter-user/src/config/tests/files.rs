//! Files that include files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::config::{ConfigError, Loaded, load, parse, render};

/// A directory with these files in it.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    directory
}

fn load_in(directory: &TempDir) -> Result<Loaded, ConfigError> {
    load(&directory.path().join("limiter.conf"))
}

/// The message, with the directory taken out of it.
fn message(files: &[(&str, &str)]) -> String {
    let directory = directory(files);
    let error = load_in(&directory).expect_err("an error");
    assert!(!render(&error, false).is_empty());
    let prefix = format!("{}/", directory.path().display());
    error.to_string().replace(&prefix, "")
}

#[test]
fn includes_are_relative_to_the_file_and_in_order() {
    let directory = directory(&[
        (
            "limiter.conf",
            "include zones.conf; stream { include conf.d/*.conf; } include none/*.conf;",
        ),
        ("zones.conf", "limit_conn_zone x zone=a:1m;"),
        (
            "conf.d/b.conf",
            "server { server_name b; listen 2; include ../limit.conf; }",
        ),
        (
            "conf.d/a.conf",
            "server { server_name a; listen 1; include 'sub/[x]*.conf'; }",
        ),
        ("conf.d/.hidden.conf", "nonsense"),
        ("conf.d/c.conf~", "nonsense"),
        ("conf.d/sub/x y.conf", "limit_conn a 7;"),
        ("limit.conf", "limit_conn a 8;"),
    ]);
    let policy = load_in(&directory).expect("valid").policy;
    let servers: Vec<_> = policy
        .servers
        .iter()
        .map(|server| (server.name.as_str(), server.limits[0].number))
        .collect();
    assert_eq!(servers, [("a", 7), ("b", 8)]);
}

#[test]
fn wildcards_in_the_directory_of_the_file_are_taken_literally() {
    let directory = directory(&[
        ("[a]*/limiter.conf", "include *.inc;"),
        ("[a]*/x.inc", "server { server_name x; }"),
    ]);
    let policy = load(&directory.path().join("[a]*/limiter.conf"))
        .expect("valid")
        .policy;
    assert_eq!(policy.servers[0].name, "x");
}

#[test]
fn an_absolute_include_needs_no_directory() {
    let directory = directory(&[("x.conf", "server { server_name x; }")]);
    let text = format!("include {}/*.conf;", directory.path().display());
    assert_eq!(
        parse("-", &text).expect("valid").policy.servers[0].name,
        "x"
    );
}

#[test]
fn an_error_names_the_included_file() {
    assert_eq!(
        message(&[
            ("limiter.conf", "\ninclude a.conf;"),
            ("a.conf", "server {\n listen 0; }")
        ]),
        r#"a.conf:2:9: invalid port in "0" of the "listen" directive"#
    );
    assert_eq!(
        message(&[
            ("limiter.conf", "server { include a.conf; }"),
            ("a.conf", "}")
        ]),
        r#"a.conf:1:1: unexpected "}""#
    );
    assert_eq!(
        message(&[
            ("limiter.conf", "include a.conf; }"),
            ("a.conf", "server {")
        ]),
        r#"limiter.conf:1:17: unexpected "}""#
    );
    assert_eq!(
        message(&[
            ("limiter.conf", "server { listen 1; }\ninclude a.conf;"),
            ("a.conf", "server { listen 1-2; }"),
        ]),
        r#"a.conf:1:17: "listen 1-2" is already claimed by the server of port 1 at limiter.conf:1:17"#
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    assert_eq!(
        message(&[("limiter.conf", "include a.conf;")]),
        r#"limiter.conf:1:9: cannot open "a.conf": No such file or directory (os error 2)"#
    );
    assert_eq!(
        message(&[("limiter.conf", "include a;"), ("a/b", "")]),
        r#"limiter.conf:1:9: "a" is not a regular file"#
    );
    assert_eq!(
        message(&[("limiter.conf", "include a***;")]),
        r#"limiter.conf:1:9: invalid pattern "a***""#
    );
    let error = load(Path::new("/nonexistent/limiter.conf")).expect_err("an error");
    assert_eq!(
        error.to_string(),
        "cannot open \"/nonexistent/limiter.conf\": No such file or directory (os error 2)"
    );
    let error = load(Path::new("/")).expect_err("an error");
    assert_eq!(
        error.to_string(),
        "cannot read \"/\": Is a directory (os error 21)"
    );
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let directory = directory(&[]);
    let path: PathBuf = directory.path().join("limiter.conf");
    let table: [(&[u8], &str); 3] = [
        (b"control /a;\ncontrol \xff\0;", "2:9: invalid UTF-8"),
        (b"control /a;\ncontrol \0\xff;", "2:9: unexpected zero byte"),
        ("# ü\u{0}".as_bytes(), "1:4: unexpected zero byte"),
    ];
    for (content, expected) in table {
        fs::write(&path, content).expect("a file");
        let error = load(&path).expect_err("no text");
        assert_eq!(error.to_string(), format!("{}:{expected}", path.display()));
        assert!(render(&error, false).contains("UTF-8"));
    }
}

#[test]
fn an_include_loop_is_found_under_any_name() {
    assert_eq!(
        message(&[("limiter.conf", "include ././limiter.conf;")]),
        r#"limiter.conf:1:9: include loop: "././limiter.conf" includes itself"#
    );
    assert_eq!(
        message(&[
            ("limiter.conf", "include conf.d/*;"),
            ("conf.d/a", "server { include ../b; }"),
            ("b", "include conf.d/a;"),
        ]),
        r#"conf.d/../b:1:9: include loop: "conf.d/../conf.d/a" includes itself"#
    );
}

#[test]
fn depth_and_amount_are_bounded() {
    let deep: Vec<(String, String)> = (0..12)
        .map(|level| (format!("{level}"), format!("include {};", level + 1)))
        .chain([("limiter.conf".to_owned(), "include 0;".to_owned())])
        .collect();
    let deep: Vec<_> = deep
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert_eq!(
        message(&deep),
        "8:1:9: too many files inside each other, 10 at the most"
    );

    let twice = |next: &str| format!("include {next};\n").repeat(40);
    let wide = [
        ("limiter.conf", twice("a")),
        ("a", twice("b")),
        ("b", twice("c")),
        ("c", String::new()),
    ];
    let wide = wide.each_ref().map(|(name, text)| (*name, text.as_str()));
    assert_eq!(
        message(&wide),
        "b:14:9: too much configuration, 1000 files with 4096 KiB at the most"
    );

    let large = "#".repeat((1 << 20) + 1);
    assert_eq!(
        message(&[("limiter.conf", "include large;"), ("large", &large)]),
        r#"limiter.conf:1:9: "large" is too large, 1024 KiB at the most"#
    );
}
