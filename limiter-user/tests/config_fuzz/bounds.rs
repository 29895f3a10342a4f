//! Texts that are large, deep or long: one message, for memory and work that the text is worth.

use std::path::Path;

use crate::{
    check::{Outcome, Place},
    mutate::FRAGMENTS,
};

/// Bytes of one file at the most.
pub const LARGEST: usize = 1 << 20;

/// The place and the message.
#[track_caller]
fn message(text: &str) -> String {
    let mut place = Place::new(Path::new(""), "t.conf");
    match place.check(text) {
        Outcome::Refused(line) => line.strip_prefix("t.conf:").expect("a place").to_owned(),
        Outcome::Taken => panic!("it is taken"),
    }
}

/// So many times, cut to what a file may have.
fn repeated(text: &str, times: usize) -> String {
    let mut text = text.repeat(times);
    text.truncate(text.floor_char_boundary(LARGEST));
    text
}

#[test]
fn blocks_inside_each_other() {
    for (text, expected) in [
        (
            "stream {\n",
            "17:8: blocks are nested too deeply, 16 levels at the most",
        ),
        (
            "server{",
            "1:119: blocks are nested too deeply, 16 levels at the most",
        ),
        ("{", r#"1:1: unexpected "{""#),
        ("}", r#"1:1: unexpected "}""#),
    ] {
        assert_eq!(message(&repeated(text, 100_000)), expected);
    }
}

#[test]
fn long_lines_and_words() {
    let before = "limit_conn_exempt 10.0.0.0/8; ";
    let blanks = " ".repeat(1_000_000);
    assert_eq!(
        message(&format!("{before}{blanks}lisen 1;")),
        r#"1:1000031: unknown directive "lisen""#
    );
    let word = "x".repeat(1_000_000);
    for (text, expected) in [
        (
            format!("{before}{word};"),
            "1:31: too long parameter, 4096 bytes at the most",
        ),
        (
            format!("{before}'{word};"),
            "1:31: unexpected end of file, probably missing terminating \"'\" character",
        ),
        (
            format!("{before}# {word}\nlisten 1;"),
            r#"2:1: "listen" directive is not allowed here"#,
        ),
    ] {
        assert_eq!(message(&text), expected);
    }
    let arguments = repeated("1.1.1.1 ", LARGEST / 8);
    assert_eq!(
        message(&format!("control {}", &arguments[8..])),
        r#"1:1048576: unexpected end of file, expecting ";" or "}""#
    );
}

#[test]
fn zero_bytes() {
    for (text, expected) in [
        ("\0".to_owned(), "1:1: unexpected zero byte"),
        ("control /a\0b;".to_owned(), "1:11: unexpected zero byte"),
        (
            format!("{}\0", repeated("# ü\n", LARGEST / 5 - 1)),
            "209715:1: unexpected zero byte",
        ),
        (repeated("\0", LARGEST), "1:1: unexpected zero byte"),
    ] {
        assert_eq!(message(&text), expected);
    }
}

/// A word that is taken can be written again, however many of its characters have to be escaped.
#[test]
fn the_longest_words() {
    let mut place = Place::new(Path::new(""), "t.conf");
    for word in ["'\"'", "\"'\"", "\\\\", "\"\\\\\"", "a", "'\t'"] {
        let (quote, inside) = match word.chars().next() {
            Some(quote @ ('\'' | '"')) => (quote.to_string(), word.trim_matches(quote)),
            _ => (String::new(), word),
        };
        let text = |count: usize| {
            let key = inside.repeat(count);
            format!("limit_conn_zone {quote}{key}{quote} zone=a:1m;")
        };
        assert_eq!(place.check(&text(4_096)), Outcome::Taken, "{word}");
        let expected = "1:17: too long parameter, 4096 bytes at the most";
        assert_eq!(message(&text(4_097)), expected, "{word}");
    }
}

#[test]
fn whatever_is_repeated() {
    let mut place = Place::new(Path::new(""), "t.conf");
    let directives = [
        "a;",
        "a b;\n",
        "server{}",
        "server{listen 1;}\n",
        "limit_conn_exempt 1.1.1.1;",
        "attach cgroup /a;",
        "limit_conn_zone x zone=a:1m;",
        "include none/*;",
        "include fuzz.conf;",
        "limit_conn_exempt ",
    ];
    for text in FRAGMENTS.iter().chain(&directives) {
        place.check(&repeated(text, LARGEST / 4 / text.len()));
    }
}
