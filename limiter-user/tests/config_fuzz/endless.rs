//! What an `include` may lead to: files without an end, that block, too many of them, themselves.
//! Each is one message.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::{fd::AsRawFd, unix::fs::symlink},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use limiter::config::{load, render};
use nix::{sys::stat::Mode, unistd::mkfifo};
use tempfile::TempDir;

use crate::{
    bounds::LARGEST,
    memory::{Usage, measured},
};

/// A wait that never ends fails the test instead of stopping it. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files of a test, with `limiter.conf` to be read first.
struct Files(TempDir);

impl Files {
    fn new(first: &str) -> Self {
        let files = Self(tempfile::tempdir().expect("a directory"));
        files.write("limiter.conf", first);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    /// The message, without the directory.
    #[track_caller]
    fn message(&self) -> String {
        let directory = format!("{}/", self.0.path().display());
        message(&self.path("limiter.conf")).replace(&directory, "")
    }

    /// The same, with the lines below it.
    #[track_caller]
    fn must_say(&self, expected: &str) {
        assert_eq!(self.message(), expected);
    }
}

/// The message about a file. It comes, and takes no more memory than the largest file is worth.
#[track_caller]
fn message(path: &Path) -> String {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || {
        let (result, usage) = measured(|| load(&path));
        let line = result.map_err(|error| {
            assert!(!render(&error, false).is_empty());
            error.to_string()
        });
        sender.send((line.map(|_| ()), usage))
    });
    let answer = receiver.recv_timeout(PATIENCE);
    let (line, usage) = answer.expect("neither blocked nor panicked");
    let Usage {
        allocations,
        peak_bytes,
    } = usage;
    assert!(peak_bytes <= 8 * LARGEST, "{usage:?}");
    assert!(allocations <= 400_000, "{usage:?}");
    line.expect_err("a message")
}

#[test]
fn a_file_that_includes_itself() {
    let files = Files::new("include limiter.conf;");
    files.must_say(r#"limiter.conf:1:9: include loop: "limiter.conf" includes itself"#);
    let files = Files::new("\ninclude *.conf;");
    files.must_say(r#"limiter.conf:2:9: include loop: "limiter.conf" includes itself"#);
    let files = Files::new("include other.conf;");
    symlink("limiter.conf", files.path("other.conf")).expect("a link");
    files.must_say(r#"limiter.conf:1:9: include loop: "other.conf" includes itself"#);
}

#[test]
fn three_files_that_include_each_other() {
    let files = Files::new("stream {\n  include one.conf;\n}");
    files.write("one.conf", "include two.conf;");
    files.write("two.conf", "server {}\nserver { include three.conf; }");
    files.write("three.conf", "# the loop\ninclude one.conf;");
    files.must_say(r#"three.conf:2:9: include loop: "one.conf" includes itself"#);
}

#[test]
fn a_link_to_itself() {
    let files = Files::new("include link.conf;");
    symlink("link.conf", files.path("link.conf")).expect("a link");
    files.must_say(
        "limiter.conf:1:9: cannot open \"link.conf\": \
         Too many levels of symbolic links (os error 40)",
    );
}

#[test]
fn what_is_no_file() {
    let files = Files::new("include conf.d;");
    fs::create_dir(files.path("conf.d")).expect("a directory");
    files.must_say(r#"limiter.conf:1:9: "conf.d" is not a regular file"#);
    files.write("limiter.conf", "include conf.*;");
    files.must_say(r#"limiter.conf:1:9: "conf.d" is not a regular file"#);
    for device in ["/dev/zero", "/dev/null", "/dev/full"] {
        files.write("limiter.conf", &format!("include {device};"));
        files.must_say(&format!(
            "limiter.conf:1:9: \"{device}\" is not a regular file"
        ));
    }
    let files = Files::new("include fifo;");
    mkfifo(&files.path("fifo"), Mode::S_IRWXU).expect("a pipe with a name");
    files.must_say(r#"limiter.conf:1:9: "fifo" is not a regular file"#);
}

#[test]
fn a_first_file_without_an_end() {
    let expected = "\"/dev/zero\" is too large, 1024 KiB at the most";
    assert_eq!(message(Path::new("/dev/zero")), expected);

    let files = Files::new("");
    let fifo = files.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).expect("a pipe with a name");
    let writer = thread::spawn({
        let fifo = fifo.clone();
        move || {
            let mut fifo = File::create(fifo)?;
            loop {
                fifo.write_all(b"# and so on\n")?;
            }
        }
    });
    let expected = format!("{fifo:?} is too large, 1024 KiB at the most");
    assert_eq!(message(&fifo), expected);
    let ended: io::Result<()> = writer.join().expect("the writer does not panic");
    let kind = ended.expect_err("nobody reads any more").kind();
    assert_eq!(kind, io::ErrorKind::BrokenPipe);
}

#[test]
fn a_first_file_that_is_a_pipe() {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    writer
        .write_all(b"limit_conn_zone x zone=piped:1m;")
        .expect("room in the pipe");
    drop(writer);
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let policy = load(Path::new(&path)).expect("a policy").policy;
    assert_eq!(policy.zones[0].name, "piped");
}

#[test]
fn large_files() {
    let files = Files::new("include large;");
    let large = File::create(files.path("large")).expect("a file");
    large.set_len(1 << 30).expect("a hole of a GiB");
    files.must_say(r#"limiter.conf:1:9: "large" is too large, 1024 KiB at the most"#);
    files.write("large", &"x".repeat(10 << 20));
    files.must_say(r#"limiter.conf:1:9: "large" is too large, 1024 KiB at the most"#);
    // As large as may be, and five of them together are too much.
    files.write("large", &format!("{}\n", "#".repeat(LARGEST - 1)));
    files.write("limiter.conf", &"include large;\n".repeat(5));
    files
        .must_say("limiter.conf:4:9: too much configuration, 1000 files with 4096 KiB at the most");
}

#[test]
fn more_files_than_may_be() {
    let files = Files::new("include conf.d/*.conf;");
    fs::create_dir(files.path("conf.d")).expect("a directory");
    for number in 0..30_000 {
        files.write(&format!("conf.d/{number}.conf"), "");
    }
    files.must_say("limiter.conf:1:9: too many files match \"conf.d/*.conf\", 1000 at the most");
    files.write(
        "limiter.conf",
        "include conf.d/1*9.conf;\ninclude conf.d/2*9.conf;",
    );
    files.must_say("limiter.conf:1:9: too many files match \"conf.d/1*9.conf\", 1000 at the most");
    files.write("limiter.conf", &"include conf.d/1?3?.conf;\n".repeat(20));
    files.must_say(
        "limiter.conf:4:9: too many files to compare with \"conf.d/1?3?.conf\", \
         100000 at the most for all patterns together",
    );
    files.write("limiter.conf", "include /**/*.conf;");
    files.must_say("limiter.conf:1:9: invalid pattern \"/**/*.conf\"");
}

#[test]
fn directories_inside_themselves() {
    let files = Files::new(&format!("include {}x;", "*/".repeat(1_000)));
    for link in ["a", "b"] {
        symlink(".", files.path(link)).expect("a link");
    }
    files.must_say(&format!(
        "limiter.conf:1:9: too many files match \"{}…\", 1000 at the most",
        "*/".repeat(40)
    ));
}
