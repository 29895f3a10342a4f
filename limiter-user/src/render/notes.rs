//! Lines of a configuration with comments behind them.

use crate::policy::origin::Origin;

/// Comments stand in one column, but not farther to the right than this.
const FARTHEST: usize = 48;

/// A configuration, line by line.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<Line>);

#[derive(Debug)]
struct Line {
    text: String,
    comment: Option<String>,
}

impl Lines {
    /// A line, and what stands in the comment behind it.
    pub(crate) fn add(&mut self, text: impl Into<String>, comment: Option<String>) {
        self.0.push(Line {
            text: text.into(),
            comment,
        });
    }

    /// A line that is a comment, indented as `text` is.
    pub(super) fn comment(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        let words = text.trim_start();
        let indent = &text[..text.len() - words.len()];
        self.add(format!("{indent}# {words}"), None);
    }

    pub(super) fn blank(&mut self) {
        self.add("", None);
    }

    /// The text, with a line feed after every line.
    pub(crate) fn render(&self) -> String {
        let commented = self.0.iter().filter(|line| line.comment.is_some());
        let widths = commented.map(|line| line.text.chars().count());
        let column = widths.filter(|width| *width <= FARTHEST).max().unwrap_or(0);
        let mut all = String::new();
        for Line { text, comment } in &self.0 {
            match comment {
                Some(comment) => all.push_str(&format!("{text:<column$}  # {comment}")),
                None => all.push_str(text),
            }
            all.push('\n');
        }
        all
    }
}

/// Where a line comes from, if that is known.
pub(super) fn note(origin: Option<&Origin>) -> Option<String> {
    origin.map(ToString::to_string)
}

/// Where the named parts of a line come from. If it is one place for all, the names are left out.
pub(super) fn notes<'a>(
    parts: impl IntoIterator<Item = (&'static str, &'a Origin)>,
) -> Option<String> {
    let mut places: Vec<(&Origin, Vec<&str>)> = Vec::new();
    for (name, origin) in parts {
        match places.iter_mut().find(|(other, _)| *other == origin) {
            Some((_, names)) => names.push(name),
            None => places.push((origin, vec![name])),
        }
    }
    if let [(origin, _)] = places.as_slice() {
        return note(Some(origin));
    }
    let places = places.into_iter();
    let places: Vec<_> = places
        .map(|(origin, names)| format!("{}: {origin}", names.join(", ")))
        .collect();
    (!places.is_empty()).then(|| places.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_place_are_named_together() {
        let default = Origin::Default;
        let flag = Origin::flag("--key", true);
        assert_eq!(notes([]), None);
        assert_eq!(notes([("key", &flag)]).as_deref(), Some("--key"));
        let same = notes([("key", &default), ("size", &default)]);
        assert_eq!(same.as_deref(), Some("default"));
        let different = notes([("key", &default), ("size", &flag), ("on_full", &default)]);
        let expected = "key, on_full: default; size: --key";
        assert_eq!(different.as_deref(), Some(expected));
    }

    #[test]
    fn a_long_line_does_not_push_the_others_away() {
        let mut lines = Lines::default();
        let long = "x".repeat(FARTHEST + 1);
        lines.add("a;", Some("1".to_owned()));
        lines.add("abc;", Some("2".to_owned()));
        lines.add(long.as_str(), Some("3".to_owned()));
        lines.comment("  end");
        let expected = format!("a;    # 1\nabc;  # 2\n{long}  # 3\n  # end\n");
        assert_eq!(lines.render(), expected);
    }
}
