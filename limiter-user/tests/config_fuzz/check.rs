//! What has to hold for every input.

use std::{collections::HashMap, fs, path::Path};

use limiter::{
    config::{ConfigError, Loaded, parse, render, render_warning},
    render::policy::configuration,
};

use crate::memory::{Usage, measured};

/// A message may have so many bytes, whatever the input.
const LONGEST_LINE: usize = 1_000;
const LONGEST_FRAME: usize = 64 << 10;

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Taken,
    /// With this message.
    Refused(String),
}

/// The files that inputs may include, and the name that inputs have.
pub struct Place {
    name: String,
    texts: HashMap<String, String>,
}

impl Place {
    /// With the files in this directory and below.
    pub fn new(directory: &Path, name: &str) -> Self {
        Self {
            name: directory.join(name).display().to_string(),
            texts: HashMap::new(),
        }
    }

    /// Reads it, and panics if what comes of it is not what should.
    pub fn check(&mut self, text: &str) -> Outcome {
        let (result, usage) = measured(|| parse(&self.name, text));
        bounded(usage, text);
        match result {
            Ok(loaded) => {
                taken(&loaded);
                Outcome::Taken
            }
            Err(error) => {
                self.refused(&error, text);
                Outcome::Refused(error.to_string())
            }
        }
    }

    /// The place that is named has to be one of the text, and has to be the one that is shown.
    fn refused(&mut self, error: &ConfigError, text: &str) {
        let line = error.to_string();
        must_be_harmless(&line);
        assert!(line.len() <= LONGEST_LINE, "{} bytes: {line}", line.len());
        let (place, _) = line.split_once(": ").expect("a place and a message");
        let mut parts = place.rsplitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok());
        let (column, row) = (number().expect("a column"), number().expect("a line"));
        let file = parts.next().expect("a file");
        let source = match file == self.name {
            true => text,
            false => self
                .texts
                .entry(file.to_owned())
                .or_insert_with(|| fs::read_to_string(file).expect(file)),
        };
        let lines: Vec<_> = source.split('\n').collect();
        let shown = lines.get(row - 1).unwrap_or_else(|| panic!("{line}"));
        assert!((1..=shown.chars().count() + 1).contains(&column), "{line}");

        let frame = render(error, false);
        assert!(frame.contains(&format!("╭─[{place}]")), "{place}\n{frame}");
        must_be_a_frame(&frame);
    }
}

/// Memory and work are in proportion to the text, whatever is in it, on top of what any text takes,
/// included files among it.
fn bounded(usage: Usage, text: &str) {
    let Usage {
        allocations,
        peak_bytes,
    } = usage;
    let length = text.len();
    assert!(
        peak_bytes <= 64_000 + 100 * length,
        "{usage:?} for {length} bytes"
    );
    assert!(
        allocations <= 2_000 + 8 * length,
        "{usage:?} for {length} bytes"
    );
}

/// What is accepted can be written and read again, and everything in it has an origin.
fn taken(loaded: &Loaded) {
    let text = configuration(&loaded.policy, &loaded.origins, 2);
    let again = parse("written.conf", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(again.policy, loaded.policy, "{text}");
    must_be_parallel(loaded);
    for warning in &loaded.warnings {
        let line = warning.to_string();
        must_be_harmless(&line);
        assert!(line.len() <= LONGEST_LINE, "{} bytes: {line}", line.len());
        must_be_a_frame(&render_warning(warning, false));
    }
}

fn must_be_a_frame(frame: &str) {
    assert!(!frame.is_empty());
    assert!(frame.len() <= LONGEST_FRAME, "{} bytes", frame.len());
    frame.lines().for_each(must_be_harmless);
}

/// Nothing that a terminal obeys.
fn must_be_harmless(line: &str) {
    assert!(!line.contains(char::is_control), "{line:?}");
    assert!(!line.contains('\u{202e}'), "{line:?}");
}

fn must_be_parallel(loaded: &Loaded) {
    let Loaded {
        policy, origins, ..
    } = loaded;
    assert_eq!(origins.zones.len(), policy.zones.len());
    let attach = origins.cgroups.len() + origins.interfaces.len();
    assert_eq!(attach, policy.attach.len());
    assert_eq!(origins.servers.len(), policy.servers.len());
    for (origins, server) in origins.servers.iter().zip(&policy.servers) {
        assert_eq!(origins.listen.len(), server.listen.len());
        assert_eq!(origins.exempt.len(), server.exempt.len());
        assert_eq!(origins.exempt_off.is_some(), server.exempt.is_empty());
        assert_eq!(origins.limits.len(), server.limits.len());
        for (origins, limit) in origins.limits.iter().zip(&server.limits) {
            assert_eq!(origins.overrides.len(), limit.overrides.len());
        }
    }
}
