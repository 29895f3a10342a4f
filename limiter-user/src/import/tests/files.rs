//! Files that include files.

use std::{fs, io::Write, os::fd::AsRawFd, path::Path};

use nix::{sys::stat::Mode, unistd::mkfifo};

use super::{check, import, says};
use crate::{
    config::render,
    import::{Import, load},
};

/// Imports the first of these files, in a directory of their own.
fn import_files(files: &[(&str, &str)]) -> Result<Import, String> {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    let import = load(&directory.path().join(files[0].0));
    import.map_err(|error| {
        assert!(!render(&error, false).is_empty());
        error.to_string()
    })
}

#[test]
fn includes_are_relative_to_the_first_file() {
    let import = import_files(&[
        (
            "nginx.conf",
            "http { include mime.types; limit_conn_zone $limit zone=a:1m; include conf.d/*.conf; include none/*; }",
        ),
        ("mime.types", "types { text/html html; }"),
        ("conf.d/map.conf", "geo $limit { default x; include conf.d/networks; }"),
        ("conf.d/networks", "10.0.0.0/8 '';"),
        ("conf.d/site.conf", "\n\nserver { listen 80; include snippets/limit.conf; }"),
        ("snippets/limit.conf", "limit_conn a 5;"),
    ])
    .expect("an import");
    check(&import);
    assert_eq!(import.warnings, [""; 0]);
    for line in [
        "limit_conn_zone x zone=a:1m;",
        "limit_conn a 5;",
        "limit_conn_exempt 10.0.0.0/8;",
        "# conf.d/site.conf:3",
        "# snippets/limit.conf:1",
    ] {
        assert!(import.text.contains(line), "{line}\n{}", import.text);
    }
}

#[test]
fn a_file_that_is_not_there_is_a_warning() {
    let import = import_files(&[(
        "nginx.conf",
        "http { include mime.types; limit_conn_zone x zone=a:1m; server { limit_conn a 5; } }",
    )])
    .expect("an import");
    check(&import);
    let warning = "nginx.conf:1: \"include mime.types\" was not read, nor any limit in it: No such \
        file or directory";
    assert!(
        import.warnings[0].starts_with(warning),
        "{:?}",
        import.warnings
    );
    assert!(
        import
            .text
            .contains("# nginx.conf:1: \"include mime.types\"")
    );
    assert_eq!(import.summary.limits, 1);
}

#[test]
fn a_file_without_interest_may_be_included_everywhere() {
    let locations = "location /x { include params; }".repeat(12_000);
    let text =
        format!("http {{ limit_conn_zone x zone=a:1m; server {{ limit_conn a 5; {locations} }} }}");
    let files = [
        ("nginx.conf", text.as_str()),
        ("params", "fastcgi_param A b;"),
    ];
    let import = import_files(&files).expect("an import");
    assert_eq!((import.summary.limits, import.warnings.len()), (1, 0));
}

/// Glob(3) makes something else of it, but not here.
#[test]
fn a_pattern_that_cannot_be_followed_is_a_warning() {
    let text = "include **/*.conf; limit_conn_zone x zone=a:1m; server { limit_conn a 5; }";
    let import = import_files(&[("nginx.conf", text)]).expect("an import");
    check(&import);
    assert!(
        import.warnings[0].contains("invalid pattern \"**/*.conf\""),
        "{:?}",
        import.warnings
    );
    assert_eq!(import.summary.limits, 1);
}

#[test]
fn what_an_include_looks_at_is_bounded() {
    let includes = "include sites/[ab];".repeat(1_000);
    let files: Vec<String> = (0..110).map(|number| format!("sites/{number}")).collect();
    let mut files: Vec<_> = files.iter().map(|name| (name.as_str(), "")).collect();
    files.insert(0, ("nginx.conf", includes.as_str()));
    let error = import_files(&files).expect_err("too much");
    let message = "too many files to compare with \"sites/[ab]\", 100000 at the most";
    assert!(error.contains(message), "{error}");
}

#[test]
fn a_pipe_is_not_waited_for_in_an_include() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name| directory.path().join(name);
    mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a pipe with a name");
    fs::write(path("nginx.conf"), "include fifo;").expect("a file");
    let error = load(&path("nginx.conf")).expect_err("no file").to_string();
    assert!(error.ends_with("fifo\" is not a regular file"), "{error}");
}

#[test]
fn what_nginx_would_not_take_either_is_an_error() {
    for (files, message) in [
        (
            vec![("nginx.conf", "http { limit_conn a 5 }")],
            "directive \"limit_conn\" is not terminated",
        ),
        (vec![("nginx.conf", "http { } }")], "unexpected \"}\""),
        (
            vec![("nginx.conf", "http { a 'b; }")],
            "missing terminating \"'\"",
        ),
        (vec![("nginx.conf", "include nginx.conf;")], "include loop"),
        (
            vec![("nginx.conf", "include a;"), ("a", "b")],
            "/a:1:2: unexpected end of file",
        ),
        (
            vec![("nginx.conf", "content_by_lua_block { a(")],
            "the Lua code has no closing",
        ),
    ] {
        let error = import_files(&files).expect_err(message);
        assert!(error.contains(message), "{message}\n{error}");
    }
}

#[test]
fn the_grammar_is_nginxs() {
    for inside in [
        "if ($http_user_agent ~ \"(a|b){2}\") { return 403; }",
        "set $a x}y; set $b ${c}d; set $e \"$f\\\"g\";",
        "log_format l '{\"a\": \"$b\"}' escape=json;",
        "content_by_lua_block { local t = { '}' } -- }\n ngx.say([[ } ]]) }",
        "set_by_lua_block $res { return \"}\" }",
        "add_header X\n  server;",
        "map $a $b { \"~^\\d{3}$\" 1; }",
        "# }\n",
        "types { a b; }",
        "\"quoted\" name;",
    ] {
        let text = format!("limit_conn_zone x zone=a:1m; server {{ {inside} limit_conn a 5; }}");
        assert_eq!(import(&text).summary.limits, 1, "{inside}");
    }
    // Whoever wrote a comment thirty years ago did not know UTF-8.
    let mut text =
        b"# caf\xe9 \0\nlimit_conn_zone x zone=a:1m; server { limit_conn a 5; }".to_vec();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("nginx.conf");
    fs::write(&path, &text).expect("a file");
    assert_eq!(load(&path).expect("an import").summary.limits, 1);
    text.truncate(text.len() - 1);
    fs::write(&path, &text).expect("a file");
    let import = load(&path).expect("an import");
    assert_eq!(import.summary.limits, 1);
    assert!(
        import.warnings[0].contains("no \"}\" closes \"server\""),
        "{:?}",
        import.warnings
    );
}

#[test]
fn nothing_of_the_input_leaves_its_comment() {
    let variable = "\"$y\nserver { listen 22; limit_conn a 1; }\n\"";
    let nasty = "\"x\nserver { listen 22; limit_conn a 1; }\n\"";
    for text in [
        format!(
            "limit_conn_zone x zone=a:1m; limit_conn_status {nasty}; server {{ limit_conn a 5; }}"
        ),
        format!(
            "limit_conn_zone x zone=a:1m; server {{ limit_conn a 5; location {nasty} {{ limit_conn a 3; }} }}"
        ),
        format!(
            "limit_conn_zone x zone=a:1m; server {{ limit_conn a 5; server_name {nasty}; listen {nasty}; listen 80; }}"
        ),
        format!(
            "limit_conn_zone {variable} zone=b:1m; limit_conn_zone x zone=a:1m; server {{ limit_conn a 5; limit_conn b 5; limit_conn {nasty} 4; }}"
        ),
        format!(
            "limit_conn_zone x zone=a:1m; server {{ limit_conn a 5; }} upstream {nasty} {{ server {nasty} max_conns=4; queue 5 {nasty}; }}"
        ),
        format!("include {nasty}; limit_conn_zone x zone=a:1m; server {{ limit_conn a 5; }}"),
    ] {
        let import = import(&text);
        assert_eq!(
            (import.summary.limits, import.summary.servers),
            (1, 1),
            "{}",
            import.text
        );
        assert!(
            !import.text.contains("\nserver { listen 22"),
            "{}",
            import.text
        );
        for warning in &import.warnings {
            assert!(!warning.contains('\n'), "{warning}");
        }
    }
}

#[test]
fn who_has_no_limits_hears_it() {
    let text = "http { server { listen 80; } }";
    assert_eq!(import(text).summary, super::super::Summary::default());
    says(text, "Made by limiter");
    says(text, "from nginx.conf.");
}

#[test]
fn the_first_file_may_be_a_pipe() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let text = b"limit_conn_zone x zone=a:1m; server { limit_conn a 5; }";
    writer.write_all(text).expect("room in the pipe");
    drop(writer);
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let import = load(Path::new(&path)).expect("an import");
    assert_eq!(import.summary.limits, 1);
}
