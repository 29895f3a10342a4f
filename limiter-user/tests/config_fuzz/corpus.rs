//! Configurations that somebody has written: those of the documentation, which have to be right, and
//! every string of the sources and tests that reads as one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use limiter::config::parse;

/// Put in front of what names a zone and defines none.
const ZONE: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;\n";

/// All of them, each accepted, without repetition.
pub fn corpus() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut corpus = Vec::new();
    for page in files(&root, "md") {
        for (language, text) in blocks(&read(&page)) {
            if language == "nginx" {
                parse("page.md", &text).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
            }
            corpus.push(text);
        }
    }
    for folder in ["limiter-user/src", "tests/tests"] {
        for source in files(&root.join(folder), "rs") {
            for text in literals(&read(&source)) {
                let unescaped = text.replace("{{", "{").replace("}}", "}");
                corpus.extend([format!("{ZONE}{text}"), text, unescaped]);
            }
        }
    }
    corpus.retain(|text| text.contains([';', '{']) && parse("corpus.conf", text).is_ok());
    corpus.sort();
    corpus.dedup();
    corpus
}

/// Files with this extension in a directory and below, in order; nothing that is built or hidden.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of the sources");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry of it").path())
        .collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// What stands between fences, and what language it is said to be.
fn blocks(page: &str) -> Vec<(String, String)> {
    let inside = page.split("```").skip(1).step_by(2);
    let texts = inside.filter_map(|block| block.split_once('\n'));
    texts
        .map(|(language, text)| (language.to_owned(), text.to_owned()))
        .collect()
}

/// The string literals of Rust's sources.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let (before, here) = rest.split_at(at);
        let (literal, length) = match here.as_bytes() {
            [b'/', b'/', ..] => (None, here.find('\n').unwrap_or(here.len())),
            [b'\'', b'\\', ..] => (None, here[3..].find('\'').map_or(3, |end| end + 4)),
            [b'\'', _, b'\'', ..] => (None, 3),
            [b'"', ..] => match before.trim_end_matches('#') {
                raw if raw.ends_with('r') => raw_string(here, before.len() - raw.len()),
                _ => string(here),
            },
            _ => (None, 1),
        };
        found.extend(literal);
        rest = here.get(length..).unwrap_or_default();
    }
    found
}

/// From its first quote on; so many `#` behind its last. The bytes that it takes.
fn raw_string(text: &str, hashes: usize) -> (Option<String>, usize) {
    let end = format!("\"{}", "#".repeat(hashes));
    match text[1..].find(&end) {
        Some(length) => (Some(text[1..1 + length].to_owned()), 1 + length + end.len()),
        None => (None, text.len()),
    }
}

fn string(text: &str) -> (Option<String>, usize) {
    let mut value = String::new();
    let mut at = 1;
    while let Some(character) = text[at..].chars().next() {
        at += character.len_utf8();
        match character {
            '"' => return (Some(value), at),
            '\\' => {
                let escaped = text[at..].chars().next().unwrap_or_default();
                at += escaped.len_utf8();
                match escaped {
                    'n' => value.push('\n'),
                    't' => value.push('\t'),
                    // The string goes on with the next word.
                    '\n' => at = text.len() - text[at..].trim_start().len(),
                    other => value.push(other),
                }
            }
            other => value.push(other),
        }
        if at >= text.len() {
            break;
        }
    }
    (None, text.len())
}

#[test]
fn literals_are_found_where_they_are() {
    let source = r###"
        // no "literal"
        fn f<'a>() -> char { let _ = b'"'; '"' }
        let _ = ("a\"b\n \
                  c", r"\d", r#"e"f"#, '\'', "g");
    "###;
    assert_eq!(literals(source), ["a\"b\n c", "\\d", "e\"f", "g"]);
}
