//! Reading configuration files: what `include` names, and how much of it is taken.

use std::{
    fs::{self, File, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    error::{ConfigError, shown},
    source::{Source, Span},
    syntax::Word,
    wildcard::{self, Failed},
};

/// Bytes of one file at the most.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;
/// Bytes of all files together at the most.
const MAX_TOTAL_BYTES: u64 = 4 << 20;
/// Files at the most, a file counting as often as it is included.
const MAX_FILES: usize = 1000;
/// Files that include one another, one inside the other, at the most.
const MAX_DEPTH: usize = 10;
/// Directory entries that are compared with patterns at the most, all patterns together.
const MAX_ENTRIES: usize = 100_000;

/// The files being read, and what has been read so far.
#[derive(Debug)]
pub(super) struct Files {
    /// From the first file to the one being read; real paths, to recognise a file under any name.
    open: Vec<PathBuf>,
    files: usize,
    bytes: u64,
    /// What is left of [`MAX_ENTRIES`].
    entries_left: usize,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            files: 0,
            bytes: 0,
            entries_left: MAX_ENTRIES,
        }
    }
}

impl Files {
    /// Opens the first file. It may be a pipe, such as `/dev/stdin`, and is waited for then.
    pub(super) fn open_first(&mut self, path: &Path) -> Result<Arc<Source>, ConfigError> {
        let fail = |message| ConfigError::placeless(message);
        let file = File::open(path).map_err(|error| fail(cannot("open", path, error)))?;
        // A pipe has no name that an include could have.
        self.open.extend(fs::canonicalize(path).ok());
        self.read(path, file, &fail)
    }

    /// Takes a text for the first file.
    pub(super) fn take_first(
        &mut self,
        name: &Path,
        text: &str,
    ) -> Result<Arc<Source>, ConfigError> {
        self.open.extend(fs::canonicalize(name).ok());
        self.accept(name, text.as_bytes().to_vec(), &|message| {
            ConfigError::placeless(message)
        })
    }

    /// Opens a file that `include` named; [`Self::leave`] goes back to the file around it.
    pub(super) fn enter(
        &mut self,
        path: &Path,
        include: &Word,
    ) -> Result<Arc<Source>, ConfigError> {
        let fail = |message| ConfigError::at(&include.span, message).expected("included here");
        let real = fs::canonicalize(path).map_err(|error| fail(cannot("open", path, error)))?;
        if let Some(first) = self.open.iter().position(|open| *open == real) {
            let way: Vec<String> = self.open[first..]
                .iter()
                .chain([&real])
                .map(|open| quoted(open))
                .collect();
            return Err(
                fail(format!("include loop: {} includes itself", quoted(path)))
                    .help(way.join(" includes\n")),
            );
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(fail(format!(
                "too many files inside each other, {MAX_DEPTH} at the most"
            )));
        }
        let file = regular_file(&real, path).map_err(fail)?;
        self.open.push(real);
        self.read(path, file, &fail)
    }

    pub(super) fn leave(&mut self) {
        self.open.pop();
    }

    /// The files that `include` names, in alphabetical order. Wildcards may match nothing.
    pub(super) fn included(&mut self, word: &Word) -> Result<Vec<PathBuf>, ConfigError> {
        let directory = word.span.source().directory();
        if !wildcard::is_pattern(&word.value) {
            return Ok(vec![directory.join(&word.value)]);
        }
        let found = wildcard::matches(directory, &word.value, MAX_FILES, &mut self.entries_left);
        found.map_err(|failed| {
            let pattern = shown(&word.value);
            let fail = |message: String| ConfigError::at(&word.span, message);
            match failed {
                Failed::Pattern(why) => {
                    fail(format!("invalid pattern \"{pattern}\"")).expected(why)
                }
                Failed::Read(path, error) => fail(cannot("read", &path, error)),
                Failed::TooManyMatches => fail(format!(
                    "too many files match \"{pattern}\", {MAX_FILES} at the most"
                )),
                Failed::TooManyEntries => fail(format!(
                    "too many files to compare with \"{pattern}\", {MAX_ENTRIES} at the most \
                     for all patterns together"
                )),
            }
        })
    }

    fn read(
        &mut self,
        path: &Path,
        file: File,
        fail: &dyn Fn(String) -> ConfigError,
    ) -> Result<Arc<Source>, ConfigError> {
        let mut content = Vec::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut content)
            .map_err(|error| fail(cannot("read", path, error)))?;
        self.accept(path, content, fail)
    }

    fn accept(
        &mut self,
        path: &Path,
        content: Vec<u8>,
        fail: &dyn Fn(String) -> ConfigError,
    ) -> Result<Arc<Source>, ConfigError> {
        let length = content.len() as u64;
        self.files += 1;
        self.bytes += length;
        if length > MAX_FILE_BYTES {
            return Err(fail(format!(
                "{} is too large, {} KiB at the most",
                quoted(path),
                MAX_FILE_BYTES >> 10
            )));
        }
        if self.files > MAX_FILES || self.bytes > MAX_TOTAL_BYTES {
            return Err(fail(format!(
                "too much configuration, {MAX_FILES} files with {} KiB at the most",
                MAX_TOTAL_BYTES >> 10
            )));
        }
        decode(path, content)
    }
}

/// Opens a file that was included under the name `path`. The message if it is no regular file: a
/// pipe without a writer would block for ever, and so would a terminal.
fn regular_file(real: &Path, path: &Path) -> Result<File, String> {
    let not_regular = || format!("{} is not a regular file", quoted(path));
    // Before, because opening alone does something to some devices. And after, because it may be
    // another file by then; what blocks at all does not do so here.
    if !real.is_file() {
        return Err(not_regular());
    }
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(real)
        .and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.map_err(|error| cannot("open", path, error))?;
    if !metadata.is_file() {
        return Err(not_regular());
    }
    Ok(file)
}

fn decode(path: &Path, content: Vec<u8>) -> Result<Arc<Source>, ConfigError> {
    let (text, broken) = match String::from_utf8(content) {
        Ok(text) => (text, None),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (lossy, Some(at))
        }
    };
    let source = Source::new(path, text);
    // What comes first is reported first; up to there, the lossy text is the content itself.
    let zero = source.text().find('\0');
    let (at, message) = match (zero, broken) {
        (None, None) => return Ok(source),
        (Some(zero), broken) if broken.is_none_or(|broken| zero < broken) => {
            (zero, "unexpected zero byte")
        }
        (_, broken) => (broken.unwrap_or_default(), "invalid UTF-8"),
    };
    let length = source.text()[at..].chars().next().map_or(0, char::len_utf8);
    Err(
        ConfigError::at(&Span::new(&source, at..at + length), message)
            .expected("expected text")
            .help("a configuration is plain text, encoded in UTF-8"),
    )
}

fn cannot(verb: &str, path: &Path, error: impl std::fmt::Display) -> String {
    format!("cannot {verb} {}: {error}", quoted(path))
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", shown(&path.to_string_lossy()))
}
