//! limiter.conf(5). What README says of the configuration is the only text about it: directives are
//! described in one place.

use clap_mangen::roff::{Roff, roman};

use super::{NO_DATE, entry, markdown, reference, section, source};

const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));

/// Where the description begins, and what follows it.
const FIRST: &str = "### Configuration";
const NEXT: &str = "### Counters";

/// The page.
pub(super) fn page() -> Roff {
    let mut roff = Roff::new();
    roff.control("TH", ["limiter.conf", "5", NO_DATE, &source(), "limiter"]);
    section(&mut roff, "NAME");
    roff.text([roman("limiter.conf - what limiter limits")]);
    section(&mut roff, "DESCRIPTION");
    markdown::write(&mut roff, description());
    section(&mut roff, "FILES");
    entry(
        &mut roff,
        "/etc/limiter/limiter.conf",
        "what \"limiter run\" and \"limiter check\" read unless they are told otherwise",
    );
    section(&mut roff, "SEE ALSO");
    reference(
        &mut roff,
        &[
            ("limiter", 1),
            ("limiter-check", 1),
            ("limiter-reload", 1),
            ("limiter-run", 1),
        ],
    );
    roff
}

/// The chapter of README, without its heading.
fn description() -> &'static str {
    let (_, chapter) = README.split_once(FIRST).unwrap_or(("", README));
    chapter.split_once(NEXT).map_or(chapter, |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_has_the_chapter() {
        assert_eq!(README.matches(FIRST).count(), 1);
        assert_eq!(README.matches(NEXT).count(), 1);
        assert!(description().contains("| directive | contexts | default |"));
    }
}
