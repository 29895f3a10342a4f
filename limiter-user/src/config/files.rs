//! Reading configuration files: what `include` names, and how much of it is taken.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    error::{ConfigError, shown},
    source::{Source, Span},
    syntax::Word,
    wildcard::{self, Failed, MAX_ENTRIES},
};

/// Bytes of one file at the most.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 20;
/// Files that include one another, one inside the other, at the most.
const MAX_DEPTH: usize = 10;

/// How much is read, and what is taken for text.
#[derive(Debug)]
struct Bounds {
    /// Bytes of one file at the most.
    file_bytes: u64,
    /// Bytes of all files together at the most.
    total_bytes: u64,
    /// Files at the most, a file counting as often as it is included.
    files: usize,
    /// Bytes that are no text are replaced, not refused.
    lossy: bool,
}

const OURS: Bounds = Bounds {
    file_bytes: MAX_FILE_BYTES,
    total_bytes: 4 << 20,
    files: 1000,
    lossy: false,
};

/// A web server has a file for every site, and lists of networks; comments in them are as old as
/// they are.
const FOREIGN: Bounds = Bounds {
    file_bytes: 4 << 20,
    total_bytes: 8 << 20,
    files: 10_000,
    lossy: true,
};

/// The files being read, and what has been read so far.
#[derive(Debug)]
pub(crate) struct Files {
    bounds: Bounds,
    /// From the first file to the one being read; real paths, to recognise a file under any name.
    open: Vec<PathBuf>,
    files: usize,
    bytes: u64,
    /// What is left of [`MAX_ENTRIES`].
    entries_left: usize,
}

impl Default for Files {
    fn default() -> Self {
        Self::within(OURS)
    }
}

impl Files {
    /// Files of a web server.
    pub(crate) fn foreign() -> Self {
        Self::within(FOREIGN)
    }

    fn within(bounds: Bounds) -> Self {
        Self {
            bounds,
            open: Vec::new(),
            files: 0,
            bytes: 0,
            entries_left: MAX_ENTRIES,
        }
    }

    /// Opens the first file. It may be a pipe, such as `/dev/stdin`, and is waited for then.
    pub(crate) fn open_first(&mut self, path: &Path) -> Result<Arc<Source>, ConfigError> {
        let fail = |message| ConfigError::placeless(message);
        let file = File::open(path).map_err(|error| fail(cannot("open", path, error)))?;
        // A pipe has no name that an include could have.
        self.open.extend(fs::canonicalize(path).ok());
        self.read(path, file, &fail)
    }

    /// Takes a text for the first file.
    pub(crate) fn take_first(
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
    pub(crate) fn enter(
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
        let file = open_regular(&real)
            .map_err(|error| fail(cannot("open", path, error)))?
            .ok_or_else(|| fail(format!("{} is not a regular file", quoted(path))))?;
        self.open.push(real);
        self.read(path, file, &fail)
    }

    pub(crate) fn leave(&mut self) {
        self.open.pop();
    }

    /// The files that `include` names, in alphabetical order, relative to a directory (empty: the
    /// working directory). Wildcards may match nothing.
    pub(crate) fn included(
        &mut self,
        word: &Word,
        directory: &Path,
    ) -> Result<Vec<PathBuf>, Failed> {
        if !wildcard::is_pattern(&word.value) {
            return Ok(vec![directory.join(&word.value)]);
        }
        let (most, left) = (self.bounds.files, &mut self.entries_left);
        wildcard::matches(directory, &word.value, most, left)
    }

    fn read(
        &mut self,
        path: &Path,
        file: File,
        fail: &dyn Fn(String) -> ConfigError,
    ) -> Result<Arc<Source>, ConfigError> {
        let mut content = Vec::new();
        file.take(self.bounds.file_bytes + 1)
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
        let Bounds {
            file_bytes,
            total_bytes,
            files,
            lossy,
        } = self.bounds;
        if length > file_bytes {
            return Err(fail(format!(
                "{} is too large, {} KiB at the most",
                quoted(path),
                file_bytes >> 10
            )));
        }
        if self.files > files || self.bytes > total_bytes {
            return Err(fail(format!(
                "too much configuration, {files} files with {} KiB at the most",
                total_bytes >> 10
            )));
        }
        if lossy {
            let text = String::from_utf8_lossy(&content).replace('\0', "\u{fffd}");
            return Ok(Source::new(path, text));
        }
        decode(path, content)
    }
}

/// Opens a file without waiting. `None` if it is no regular one: a pipe without a writer would block
/// for ever, and so would a terminal.
pub(crate) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    // Before, because opening alone does something to some devices. And after, because it may be
    // another file by then; what blocks at all does not do so here.
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
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

pub(super) fn cannot(verb: &str, path: &Path, error: impl std::fmt::Display) -> String {
    format!("cannot {verb} {}: {error}", quoted(path))
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", shown(&path.to_string_lossy()))
}
