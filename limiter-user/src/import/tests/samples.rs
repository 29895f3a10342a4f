//! Whole files and what comes of them.

use std::{fs, path::PathBuf};

use super::import;

/// Set to write down what comes of the samples, after a look at the difference.
const RENEW: &str = "LIMITER_RENEW_SAMPLES";

#[track_caller]
fn must_give(name: &str) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/import/tests/samples");
    let read = |name: String| {
        let path = directory.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let text = import(&read(format!("{name}.nginx.conf"))).text;
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let result = format!("{name}.limiter.conf");
    if std::env::var_os(RENEW).is_some() {
        fs::write(directory.join(&result), &text).expect("write the result");
    }
    assert_eq!(text, read(result));
}

#[test]
fn a_web_server() {
    must_give("web");
}

#[test]
fn a_proxy_of_streams() {
    must_give("stream");
}
