//! Whatever a test imports, `check` has to take what comes of it.

mod documentation;
mod files;
mod keys;
mod mutation;
mod samples;
mod servers;
mod sizes;

use super::{Import, parse};
use crate::config::{self, Loaded};

/// Imports a text.
fn import(text: &str) -> Import {
    let import = parse("nginx.conf", text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    check(&import);
    import
}

/// What `check` has to say about the result.
fn check(import: &Import) -> Loaded {
    let loaded = config::parse("limiter.conf", &import.text);
    let loaded = loaded.unwrap_or_else(|error| panic!("{error}\n{}", import.text));
    let limits = loaded.policy.servers.iter().map(|it| it.limits.len());
    assert_eq!(
        limits.sum::<usize>(),
        import.summary.limits,
        "{}",
        import.text
    );
    if import.summary.limits > 0 {
        assert_eq!(loaded.policy.zones.len(), import.summary.zones);
    } else {
        assert_eq!(loaded.policy.zones, [], "{}", import.text);
    }
    loaded
}

/// The directives that hold, without their places.
fn active(text: &str) -> Vec<String> {
    let import = import(text);
    let lines = import.text.lines().map(|line| match line.split_once('#') {
        Some((directive, _)) => directive.trim().to_owned(),
        None => line.trim().to_owned(),
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// The comments, as one line each way they are wrapped.
fn comments(text: &str) -> String {
    let import = import(text);
    let lines = import.text.lines().filter_map(|line| line.split_once('#'));
    let words: Vec<_> = lines
        .flat_map(|(_, comment)| comment.split_whitespace())
        .filter(|word| *word != "#")
        .collect();
    words.join(" ")
}

/// Whether the comments say this.
#[track_caller]
fn says(text: &str, words: &str) {
    let comments = comments(text);
    assert!(comments.contains(words), "{words}\n{comments}");
}
