//! What came of the tests on one kernel, read from what they print.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::kernels::Kernel;

/// Of one kernel.
pub struct Results {
    /// As uname(1) says.
    pub release: String,
    /// The first two numbers of its version.
    pub version: (u32, u32),
    wanted: Vec<String>,
    passed: BTreeSet<String>,
    /// What the machine said last.
    end: Option<String>,
    console: PathBuf,
    began: Instant,
    took: Duration,
}

/// Written by init.sh, with the exit code of the tests.
const END: &str = "verify: ended with ";

impl Results {
    /// Before the first line. `console` is a file with what the kernel says.
    pub fn new(kernel: &Kernel, wanted: Vec<String>, console: PathBuf) -> Self {
        Self {
            release: kernel.release.clone(),
            version: kernel.version,
            wanted,
            passed: BTreeSet::new(),
            end: None,
            console,
            began: Instant::now(),
            took: Duration::ZERO,
        }
    }

    /// Takes a line of the tests.
    pub fn line(&mut self, line: &str) {
        self.took = self.began.elapsed();
        let result = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "));
        if let Some((name, "ok")) = result {
            self.passed.insert(name.to_owned());
        }
        if let Some(code) = line.strip_prefix(END) {
            self.end = Some(format!("the tests ended with {code}"));
        }
    }

    /// How long it has taken so far.
    pub fn seconds(&self) -> u64 {
        self.took.as_secs()
    }

    /// They were not finished in time.
    pub fn out_of_time(&mut self, limit: Duration) {
        self.end = Some(format!(
            "the tests were not over after {} minutes: --minutes gives them more",
            limit.as_secs() / 60
        ));
    }

    /// Whether everything that was wanted has passed.
    pub fn is_good(&self) -> bool {
        self.wanted.iter().all(|name| self.passed.contains(name))
    }

    /// How many of the tests whose names begin like this have passed, and how many there are.
    pub fn count(&self, begins: &[&str]) -> (usize, usize) {
        let tests = || {
            self.wanted
                .iter()
                .filter(|name| begins.iter().any(|begin| name.starts_with(begin)))
        };
        let passed = tests().filter(|name| self.passed.contains(*name));
        (passed.count(), tests().count())
    }

    /// For the end of the run.
    pub fn summary(&self) -> String {
        let failed = self
            .wanted
            .iter()
            .filter(|name| !self.passed.contains(*name));
        let mut text = format!(
            "Linux {}: {} of {} tests passed in {} s",
            self.release,
            self.passed.len(),
            self.wanted.len(),
            self.seconds()
        );
        for name in failed {
            let _ = write!(text, "\n    not passed: {name}");
        }
        if !self.is_good() {
            let end = self.end.as_deref();
            let _ = write!(
                text,
                "\n    {}; the kernel's messages are in {}",
                end.unwrap_or("the machine ended before the tests did"),
                self.console.display()
            );
            if self.end.is_none() {
                text += &self.last_words();
            }
        }
        text
    }

    /// Of a kernel that has failed.
    fn last_words(&self) -> String {
        let said = fs::read(&self.console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let lines: Vec<&str> = said.lines().collect();
        let last = &lines[lines.len().saturating_sub(20)..];
        last.iter().map(|line| format!("\n    | {line}")).collect()
    }
}
