//! Reading configuration files: what `include` names, and how much of it is taken.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use glob::{MatchOptions, Pattern};

use super::{
    error::{ConfigError, shown},
    source::{Source, Span},
    syntax::Word,
};

/// Bytes of one file at the most.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;
/// Bytes of all files together at the most.
const MAX_TOTAL_BYTES: u64 = 4 << 20;
/// Files at the most, a file counting as often as it is included.
const MAX_FILES: usize = 1000;
/// Files that include one another, one inside the other, at the most.
const MAX_DEPTH: usize = 10;

/// The files being read, and what has been read so far.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// From the first file to the one being read; real paths, to recognise a file under any name.
    open: Vec<PathBuf>,
    files: usize,
    bytes: u64,
}

impl Files {
    /// Opens the first file. It may be a pipe, such as `/dev/stdin`.
    pub(super) fn open_first(&mut self, path: &Path) -> Result<Arc<Source>, ConfigError> {
        let fail = |message| ConfigError::placeless(message);
        let real = fs::canonicalize(path).map_err(|error| fail(cannot("open", path, error)))?;
        self.open.push(real);
        self.read(path, &fail)
    }

    /// Takes a text for the first file.
    pub(super) fn take_first(
        &mut self,
        name: &Path,
        text: &str,
    ) -> Result<Arc<Source>, ConfigError> {
        if let Ok(real) = fs::canonicalize(name) {
            self.open.push(real);
        }
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
                .map(|open| open.display().to_string())
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
        // A pipe without a writer would block for ever, and so would a terminal.
        if !real.is_file() {
            return Err(fail(format!("{} is not a regular file", quoted(path))));
        }
        self.open.push(real);
        self.read(path, &fail)
    }

    pub(super) fn leave(&mut self) {
        self.open.pop();
    }

    fn read(
        &mut self,
        path: &Path,
        fail: &dyn Fn(String) -> ConfigError,
    ) -> Result<Arc<Source>, ConfigError> {
        let mut content = Vec::new();
        File::open(path)
            .map_err(|error| fail(cannot("open", path, error)))?
            .take(MAX_FILE_BYTES + 1)
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

/// The files that `include` names, in alphabetical order. Wildcards may match nothing.
pub(super) fn included(word: &Word) -> Result<Vec<PathBuf>, ConfigError> {
    let directory = word.span.source().directory();
    if !word.value.contains(['*', '?', '[']) {
        return Ok(vec![directory.join(&word.value)]);
    }
    let fail = |message: String| ConfigError::at(&word.span, message);
    let base = directory
        .to_str()
        .ok_or_else(|| fail(format!("{} is not valid UTF-8", quoted(directory))))?;
    let pattern = Path::new(&Pattern::escape(base)).join(&word.value);
    let options = MatchOptions {
        // As glob(3), which nginx uses.
        require_literal_leading_dot: true,
        ..MatchOptions::new()
    };
    glob::glob_with(&pattern.to_string_lossy(), options)
        .map_err(|error| {
            fail(format!("invalid pattern \"{}\"", shown(&word.value))).expected(error.msg)
        })?
        .map(|path| path.map_err(|error| fail(cannot("read", error.path(), error.error()))))
        .collect()
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
