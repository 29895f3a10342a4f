//! Lines on their way to a file.

use std::{fs, path::Path};

use super::{super::target::open, *};
use crate::policy::{ErrorLog, LogTarget};

/// Lines that a test has logged.
pub(in super::super) struct Captured(Receiver<Message>);

impl Captured {
    pub(in super::super) fn lines(&self) -> Vec<String> {
        let lines = self.0.try_iter().filter_map(|message| match message {
            Message::Record(line) => Some(String::from_utf8(line).expect("UTF-8")),
            Message::Flush(_) | Message::Reopen => None,
        });
        lines.collect()
    }
}

/// A sink that writes nowhere.
pub(in super::super) fn capture() -> (Sink, Captured) {
    let (sink, messages) = queue(64);
    (sink, Captured(messages))
}

fn to(path: &Path) -> ErrorLog {
    ErrorLog {
        target: LogTarget::File(path.to_owned()),
        ..ErrorLog::default()
    }
}

fn writer(target: Target) -> Writer {
    Writer {
        target,
        form: Form::Text,
        unwritten: 0,
        cause: String::new(),
    }
}

#[test]
fn lines_are_appended_and_written_out_at_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("error.log");
    fs::write(&path, "before\n").expect("a file");
    let (target, form) = open(&to(&path)).expect("a log");
    let (sink, guard) = start(target, form).expect("a thread");
    for i in 0..100 {
        sink.send(format!("line {i}\n").into());
    }
    drop(guard);
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.starts_with("before\nline 0\n"));
    assert!(text.ends_with("line 99\n"));
}

#[test]
fn lines_that_do_not_fit_are_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("error.log");
    let (target, _) = open(&to(&path)).expect("a log");
    let (sink, messages) = queue(2);
    for i in 0..5 {
        sink.send(format!("line {i}\n").into());
    }
    let lost = Arc::clone(&sink.lost);
    drop(sink);
    writer(target).run(&messages, &lost);
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.starts_with("line 0\n"), "{text}");
    assert!(text.contains("[warn] 3 log lines lost"), "{text}");
}

#[test]
fn a_file_that_was_renamed_is_left_behind_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("error.log");
    let (target, form) = open(&to(&path)).expect("a log");
    let (sink, guard) = start(target, form).expect("a thread");
    let rotated = directory.path().join("error.log.1");
    sink.send(b"line 1\n".into());
    fs::rename(&path, &rotated).expect("rename");
    sink.send(b"line 2\n".into());
    while !guard.reopener().reopen() {}
    sink.send(b"line 3\n".into());
    drop(guard);
    let read = |path| fs::read_to_string(path).expect("a file");
    assert_eq!(read(&rotated), "line 1\nline 2\n");
    assert_eq!(read(&path), "line 3\n");
}

#[test]
fn where_it_cannot_be_opened_anew_the_old_file_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = directory.path().join("logs");
    fs::create_dir(&inner).expect("a directory");
    let path = inner.join("error.log");
    let (target, form) = open(&to(&path)).expect("a log");
    let (sink, guard) = start(target, form).expect("a thread");
    let moved = directory.path().join("moved");
    fs::rename(&inner, &moved).expect("rename");
    while !guard.reopener().reopen() {}
    sink.send(b"line 2\n".into());
    drop(guard);
    let text = fs::read_to_string(moved.join("error.log")).expect("a file");
    assert!(text.contains("[warn] reopen error_log /"), "{text}");
    assert!(text.ends_with("line 2\n"), "{text}");
}

#[test]
fn what_cannot_be_written_is_told_when_it_can() {
    let (target, _) = open(&to(Path::new("/dev/full"))).expect("a device without room");
    let mut writer = writer(target);
    for i in 0..3 {
        writer.write(format!("line {i}\n").as_bytes());
    }
    assert_eq!(writer.unwritten, 3);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("error.log");
    writer.target = open(&to(&path)).expect("a log").0;
    writer.write(b"line 3\n");
    let text = fs::read_to_string(&path).expect("a file");
    let (first, rest) = text.split_once('\n').expect("a line");
    let words = "[warn] 3 log lines lost, they could not be written: No space left on device";
    assert!(first.contains(words), "{text}");
    assert_eq!(rest, "line 3\n");
}

#[test]
fn a_missing_directory_is_named() {
    let Err(error) = open(&to(Path::new("/nonexistent/error.log"))) else {
        panic!("opened");
    };
    let start = "open error_log /nonexistent/error.log: No such file";
    assert!(error.to_string().starts_with(start), "{error}");
}
