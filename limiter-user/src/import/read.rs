//! From files to one tree: what `include` names stands in its place.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::config::{
    ConfigError,
    grammar::{Directive, Files, Source, Span, Word, open_regular, parse_foreign, shown},
};

/// A configuration of nginx or Angie, files included.
#[derive(Debug)]
pub(super) struct Tree {
    /// In order.
    pub(super) directives: Vec<Directive>,
    /// What could not be read, or not as it should be.
    pub(super) remarks: Vec<Remark>,
}

/// Something about a place that a person should know.
#[derive(Debug)]
pub(super) struct Remark {
    pub(super) place: Span,
    pub(super) text: String,
}

/// Reads the first file and what it includes, relative to the directory of the first file as nginx
/// does. A file that is not there is a remark: an import may happen far from the web server.
pub(super) fn read(first: &Arc<Source>, files: Files) -> Result<Tree, ConfigError> {
    let mut reader = Reader {
        files,
        directory: first.directory(),
        irrelevant: HashSet::new(),
        remarks: Vec::new(),
    };
    let directives = reader.source(first, false)?;
    Ok(Tree {
        directives,
        remarks: reader.remarks,
    })
}

struct Reader<'a> {
    files: Files,
    directory: &'a Path,
    /// Files that have been read and say nothing of interest. Lists of parameters are included
    /// everywhere: once is enough.
    irrelevant: HashSet<PathBuf>,
    remarks: Vec<Remark>,
}

impl Reader<'_> {
    /// `is_table`: it stands in a `geo` or `map`, where names are values.
    fn source(
        &mut self,
        source: &Arc<Source>,
        is_table: bool,
    ) -> Result<Vec<Directive>, ConfigError> {
        let foreign = parse_foreign(source)?;
        if let Some(first) = foreign.unclosed.first() {
            let names = foreign.unclosed.iter();
            let names: Vec<_> = names
                .map(|name| format!("\"{}\"", shown(&name.value)))
                .collect();
            self.remarks.push(Remark {
                text: format!(
                    "no \"}}\" closes {}, so nginx would not take this file; here the end of the \
                     file does",
                    names.join(", ")
                ),
                place: first.span.clone(),
            });
        }
        self.all(foreign.directives, is_table)
    }

    fn all(
        &mut self,
        directives: Vec<Directive>,
        is_table: bool,
    ) -> Result<Vec<Directive>, ConfigError> {
        let mut all = Vec::with_capacity(directives.len());
        for mut directive in directives {
            let name = directive.name.value.as_str();
            if let ("include", None, [word]) =
                (name, &directive.block, directive.arguments.as_slice())
            {
                self.include(word, is_table, &mut all)?;
                continue;
            }
            let is_table = matches!(name, "geo" | "map");
            if let Some(block) = &mut directive.block {
                let inside = std::mem::take(&mut block.directives);
                block.directives = self.all(inside, is_table)?;
            }
            all.push(directive);
        }
        Ok(all)
    }

    fn include(
        &mut self,
        word: &Word,
        is_table: bool,
        all: &mut Vec<Directive>,
    ) -> Result<(), ConfigError> {
        let paths = match self.files.included(word, self.directory) {
            Ok(paths) => paths,
            Err(failed) if failed.is_too_much() => return Err(failed.at(word)),
            Err(failed) => {
                self.not_read(word, &failed.at(word));
                return Ok(());
            }
        };
        for path in paths {
            if !is_table && self.irrelevant.contains(&path) {
                continue;
            }
            // What can be opened and is no file, [`Files`] refuses.
            if let Err(error) = open_regular(&path) {
                self.not_read(word, &error);
                continue;
            }
            let source = self.files.enter(&path, word)?;
            let inside = self.source(&source, is_table)?;
            self.files.leave();
            if is_table || inside.iter().any(matters) {
                all.extend(inside);
            } else {
                self.irrelevant.insert(path);
            }
        }
        Ok(())
    }

    fn not_read(&mut self, word: &Word, error: &dyn std::fmt::Display) {
        self.remarks.push(Remark {
            place: word.span.clone(),
            text: format!(
                "\"include {}\" was not read, nor any limit in it: {error}",
                shown(&word.value)
            ),
        });
    }
}

/// Whether the translation looks at it, or whoever asks for how many clients there is room.
fn matters(directive: &Directive) -> bool {
    let name = directive.name.value.as_str();
    name.starts_with("limit_conn")
        || name.ends_with("_pass")
        || matches!(
            name,
            "events"
                | "worker_connections"
                | "worker_processes"
                | "geo"
                | "http"
                | "limit_req"
                | "limit_req_zone"
                | "limit_zone"
                | "listen"
                | "map"
                | "return"
                | "server"
                | "server_name"
                | "set_real_ip_from"
                | "stream"
                | "upstream"
        )
        || directive
            .block
            .as_ref()
            .is_some_and(|block| block.directives.iter().any(matters))
}
