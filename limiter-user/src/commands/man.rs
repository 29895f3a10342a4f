//! `limiter man`: the manual pages, written from what `--help` and README say.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::{Cli, failure::Failure, output};

mod configuration;
mod markdown;

/// Write the manual pages
///
/// With a directory: limiter.1, a page for each command, and limiter.conf.5 are written there.
/// Without: limiter.1 is printed, `limiter man | man -l -` shows it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write all pages; it must exist
    directory: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Some(directory) = args.directory else {
        return output::bytes(&first_page(&commands()));
    };
    for (name, page) in pages() {
        write(&directory.join(name), &page)?;
    }
    Ok(())
}

/// Every page, with the name of its file.
fn pages() -> Vec<(String, Vec<u8>)> {
    let all = commands();
    let mut pages = vec![
        ("limiter.1".to_owned(), first_page(&all)),
        ("limiter.conf.5".to_owned(), page(&configuration::page())),
    ];
    for command in all.get_subcommands().filter(|it| !it.is_hide_set()) {
        let name = format!("limiter-{}", command.get_name());
        let mut see_also = Roff::new();
        section(&mut see_also, "SEE ALSO");
        reference(&mut see_also, &[("limiter", 1), ("limiter.conf", 5)]);
        let mut text = written(&manual(command.clone(), &name));
        text.extend(page(&see_also));
        pages.push((format!("{name}.1"), text));
    }
    pages
}

fn commands() -> clap::Command {
    let mut commands = Cli::command().disable_help_subcommand(true);
    commands.build();
    commands
}

/// limiter(1): what is true of all commands stands here.
fn first_page(commands: &clap::Command) -> Vec<u8> {
    let mut more = Roff::new();
    section(&mut more, "EXIT STATUS");
    for (code, meaning) in [
        ("0", "done"),
        ("1", "a failure at run time"),
        ("2", "wrong usage or configuration"),
        (
            "3",
            "the daemon is not running; of \"limiter doctor\", whose 0, 1 and 2 are a verdict: it could \
             not look",
        ),
    ] {
        entry(&mut more, code, meaning);
    }
    section(&mut more, "ENVIRONMENT");
    entry(&mut more, "LIMITER_CONTROL", "the same as --control");
    section(&mut more, "FILES");
    for (path, meaning) in [
        (
            "/etc/limiter/limiter.conf",
            "what \"limiter run\" and \"limiter check\" read unless they are told otherwise",
        ),
        ("/run/limiter/limiter.sock", "the daemon's control socket"),
    ] {
        entry(&mut more, path, meaning);
    }
    section(&mut more, "SEE ALSO");
    let names: Vec<_> = commands
        .get_subcommands()
        .filter(|it| !it.is_hide_set())
        .map(|it| format!("limiter-{}", it.get_name()))
        .collect();
    let mut pages: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    pages.push(("limiter.conf", 5));
    reference(&mut more, &pages);

    let mut text = written(&manual(commands.clone(), "limiter"));
    text.extend(page(&more));
    text
}

fn manual(command: clap::Command, name: &str) -> Man {
    Man::new(command)
        .title(name)
        .date(NO_DATE)
        .source(source())
        .manual("limiter")
}

/// In place of a date, which says less than the version does. An argument that is empty would be
/// left out, and the next one taken for the date.
const NO_DATE: &str = "\\&";

/// What the footer of a page says: which version it belongs to.
fn source() -> String {
    format!("limiter {}", env!("CARGO_PKG_VERSION"))
}

fn written(manual: &Man) -> Vec<u8> {
    let mut text = Vec::new();
    // A Vec takes everything.
    let _ = manual.render(&mut text);
    text
}

fn page(roff: &Roff) -> Vec<u8> {
    roff.render().into_bytes()
}

fn section(roff: &mut Roff, title: &str) {
    roff.control("SH", [title]);
}

fn entry(roff: &mut Roff, term: &str, meaning: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(meaning)]);
}

fn reference(roff: &mut Roff, pages: &[(&str, u8)]) {
    let mut line = Vec::new();
    for (number, (name, section)) in pages.iter().enumerate() {
        if number > 0 {
            line.push(roman(", "));
        }
        line.push(bold(*name));
        line.push(roman(format!("({section})")));
    }
    roff.text(line);
}

fn write(path: &Path, page: &[u8]) -> Result<(), Failure> {
    fs::write(path, page).map_err(|cause| Failure::Write {
        path: path.to_owned(),
        hint: (cause.kind() == io::ErrorKind::NotFound).then_some("create the directory first"),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> String {
        let (_, page) = pages()
            .into_iter()
            .find(|(file, _)| file == name)
            .expect(name);
        String::from_utf8(page).expect("UTF-8")
    }

    #[test]
    fn every_command_has_a_page_that_the_first_page_names() {
        let first = text("limiter.1");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let file = format!("limiter-{name}.1");
            let exists = pages().iter().any(|(page, _)| *page == file);
            assert_eq!(exists, !command.is_hide_set(), "{file}");
            if exists {
                let reference = format!("\\fBlimiter\\-{}\\fR(1)", name.replace('-', "\\-"));
                assert!(first.contains(&reference), "{reference} in {first}");
                assert!(text(&file).contains(".SH SYNOPSIS"), "{file}");
            }
        }
    }

    #[test]
    fn the_page_of_the_file_has_every_directive_with_contexts_and_default() {
        let page = text("limiter.conf.5");
        for part in [
            ".TH limiter.conf 5 ",
            "\\fBlimit_conn\\fR \\fIZONE\\fR \\fINUMBER\\fR",
            "Contexts: main, server",
            ".SS Networks",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}
