//! The files that a pattern matches, by the rules of glob(3), which nginx uses. How much of the file
//! system is looked at for that is bounded.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use glob::{MatchOptions, Pattern};

use super::{
    error::{ConfigError, shown},
    files::cannot,
    syntax::Word,
};

/// Directory entries that are compared with patterns at the most, all patterns together.
pub(super) const MAX_ENTRIES: usize = 100_000;

/// Why there is no list of files.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The pattern means nothing; why.
    Pattern(&'static str),
    /// A directory, or something in it, cannot be looked at.
    Read(PathBuf, io::Error),
    /// More paths match than this.
    TooManyMatches(usize),
    /// More has been looked at than [`MAX_ENTRIES`].
    TooManyEntries,
}

impl Failed {
    /// Whether there is too much to look at, for whoever looks.
    pub(crate) fn is_too_much(&self) -> bool {
        matches!(self, Self::TooManyMatches(_) | Self::TooManyEntries)
    }

    /// The message about the word that is the pattern.
    pub(crate) fn at(self, word: &Word) -> ConfigError {
        let pattern = shown(&word.value);
        let fail = |message: String| ConfigError::at(&word.span, message);
        match self {
            Self::Pattern(why) => fail(format!("invalid pattern \"{pattern}\"")).expected(why),
            Self::Read(path, error) => fail(cannot("read", &path, error)),
            Self::TooManyMatches(most) => fail(format!(
                "too many files match \"{pattern}\", {most} at the most"
            )),
            Self::TooManyEntries => fail(format!(
                "too many files to compare with \"{pattern}\", {MAX_ENTRIES} at the most for all \
                 patterns together"
            )),
        }
    }
}

/// Whether a word is a pattern, and not the path of one file.
pub(super) fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?', '['])
}

/// The files that match the pattern, from `directory` on unless it is absolute, directory by
/// directory in alphabetical order. There may be none. Matches are `most` at the most, and entries of
/// directories `entries_left`, of which those that were looked at are taken away.
pub(super) fn matches(
    directory: &Path,
    pattern: &str,
    most: usize,
    entries_left: &mut usize,
) -> Result<Vec<PathBuf>, Failed> {
    let mut found = vec![directory.to_owned()];
    // Whether the paths in `found` are known to exist; a name without wildcards is only put behind.
    let mut exist = true;
    for component in Path::new(pattern).components() {
        let name = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !is_pattern(&name) {
            found.iter_mut().for_each(|path| path.push(component));
            exist = false;
            continue;
        }
        let name = Pattern::new(&name).map_err(|error| Failed::Pattern(error.msg))?;
        // glob(3) knows no such thing, and it would lead through the whole file system.
        if name.as_str() == "**" {
            return Err(Failed::Pattern(
                "\"**\" is not supported, name the directories",
            ));
        }
        let mut search = Search {
            name,
            most,
            entries_left,
        };
        let mut next = Vec::new();
        for path in &found {
            search.look_into(path, &mut next)?;
        }
        found = next;
        exist = true;
    }
    if !exist {
        return existing(found);
    }
    Ok(found)
}

/// A search for one name.
struct Search<'a> {
    name: Pattern,
    most: usize,
    entries_left: &'a mut usize,
}

impl Search<'_> {
    /// Adds the entries of a directory that match; none if there is no such directory.
    fn look_into(&mut self, directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failed> {
        const OPTIONS: MatchOptions = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let failed = |error| Failed::Read(directory.to_owned(), error);
        // An empty path stands for the working directory.
        let opened = match directory.as_os_str().is_empty() {
            true => fs::read_dir("."),
            false => fs::read_dir(directory),
        };
        let entries = match opened {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return self.look_at_one(),
            Err(error) => return Err(failed(error)),
        };
        let before = found.len();
        for entry in entries {
            self.look_at_one()?;
            let name = entry.map_err(failed)?.file_name();
            if self.name.matches_with(&name.to_string_lossy(), OPTIONS) {
                if found.len() == self.most {
                    return Err(Failed::TooManyMatches(self.most));
                }
                found.push(directory.join(name));
            }
        }
        found[before..].sort();
        Ok(())
    }

    fn look_at_one(&mut self) -> Result<(), Failed> {
        let left = self.entries_left.checked_sub(1);
        *self.entries_left = left.ok_or(Failed::TooManyEntries)?;
        Ok(())
    }
}

/// Those of the paths that lead to something, be it a link to nothing: that is a mistake, and to be
/// told.
fn existing(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, Failed> {
    let mut found = Vec::new();
    for path in paths {
        match fs::symlink_metadata(&path) {
            Ok(_) => found.push(path),
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(Failed::Read(path, error)),
        }
    }
    Ok(found)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a pattern matches in a directory with these files.
    fn found(files: &[&str], pattern: &str) -> Result<Vec<String>, Failed> {
        let directory = tempfile::tempdir().expect("a directory");
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, "").expect("a file");
        }
        let found = matches(directory.path(), pattern, 4, &mut 20)?;
        let relative = found.iter().map(|path| {
            let path = path.strip_prefix(directory.path());
            path.expect("inside").to_string_lossy().into_owned()
        });
        Ok(relative.collect())
    }

    #[test]
    fn a_pattern_matches_name_by_name() {
        let files = ["b/x.conf", "a/y.conf", "a/x.conf", "a/.h.conf", "c.conf"];
        for (pattern, expected) in [
            ("*/*.conf", &["a/x.conf", "a/y.conf", "b/x.conf"][..]),
            ("*/x.conf", &["a/x.conf", "b/x.conf"]),
            ("./[!b]/?.conf", &["a/x.conf", "a/y.conf"]),
            ("a/../*.conf", &["a/../c.conf"]),
            ("a/.*", &["a/.h.conf"]),
            ("c.conf/*", &[]),
            ("*/*/*", &[]),
            ("none/*", &[]),
            ("*/none", &[]),
        ] {
            let found = found(&files, pattern).expect(pattern);
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_looked_at_and_found_is_bounded() {
        let many: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = |pattern| found(&many, pattern);
        assert!(matches!(found("*"), Err(Failed::TooManyMatches(4))));
        assert!(matches!(found("[ab]"), Err(Failed::TooManyEntries)));
        assert!(matches!(found("/**"), Err(Failed::Pattern(_))));
    }

    #[test]
    fn a_name_that_is_no_text_can_match() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join(OsStr::from_bytes(b"\xff.conf"));
        fs::write(&file, "").expect("a file");
        let found = matches(directory.path(), "*.conf", 1, &mut 1).expect("a list");
        assert_eq!(found, [file]);
    }
}
