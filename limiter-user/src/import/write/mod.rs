//! From plans to the text of a limiter.conf.

mod servers;
mod zones;

use std::{path::Path, rc::Rc};

use super::{
    Import, Summary,
    fit::Fit,
    host::{Host, Limits},
    note::{Note, Places},
    page::Page,
    plan::Plan,
    read::Remark,
    scene::{Kind, Scene},
    upstream,
    zone::Zones,
};
use crate::config::{
    ConfigError,
    grammar::{Directive, MAX_FILE_BYTES, shown},
};

/// What is written with.
pub(super) struct Writer<'s, 't> {
    pub(super) scene: &'s Scene<'t>,
    /// The limits of each context itself.
    pub(super) levels: &'s [Rc<Limits>],
    pub(super) hosts: &'s [Host<'t>],
    pub(super) zones: &'s Zones,
    pub(super) plans: &'s [Plan],
    pub(super) fit: &'s Fit,
    pub(super) places: &'s Places,
    pub(super) page: Page,
    pub(super) summary: Summary,
}

impl Writer<'_, '_> {
    /// Writes everything.
    pub(super) fn write(mut self, from: &Path, remarks: &[Remark]) -> Result<Import, ConfigError> {
        self.head(from);
        let warnings = self.remarks(remarks);
        self.contexts();
        self.zones();
        self.homeless();
        self.servers();
        self.upstreams();
        self.requests();
        if self.page.left_out > 0 {
            let text = format!("{} more comments are left out.", self.page.left_out);
            self.page.blank();
            self.page.prose("", &text);
        }
        let notes = self.page.notes + self.page.left_out;
        let text = self.page.render();
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(ConfigError::placeless(format!(
                "what comes of \"{}\" is too large for one configuration, {} KiB at the most",
                shown(&from.to_string_lossy()),
                MAX_FILE_BYTES >> 10
            )));
        }
        Ok(Import {
            text,
            warnings,
            summary: Summary {
                notes,
                ..self.summary
            },
        })
    }

    fn head(&mut self, from: &Path) {
        let from = from.to_string_lossy();
        let version = env!("CARGO_PKG_VERSION");
        self.page.prose(
            "",
            &format!("Made by limiter {version} from {}.", shown(&from)),
        );
        self.page.prose(
            "",
            "What cannot hold in the kernel stands as a comment, with the reason and what comes \
             nearest. Behind a line stands where it comes from.",
        );
        if self.fit.active.is_empty() {
            self.page.prose("", "As it stands, nothing is limited.");
        }
        let mut active = self
            .fit
            .active
            .iter()
            .flat_map(|plan| &self.plans[*plan].servers);
        let is_http = |server: &usize| {
            let context = self.hosts[*server].context;
            self.scene.contexts[context].kind == Kind::Http
        };
        if active.any(is_http) {
            self.page.prose("", "");
            self.page.prose(
                "",
                "nginx counts connections of \"http\" while they have a request, and each request of \
                 HTTP/2 as one. limiter counts open connections, also idle ones: see whether the \
                 numbers are large enough, perhaps with \"limit_conn_dry_run on\".",
            );
        }
    }

    fn remarks(&mut self, remarks: &[Remark]) -> Vec<String> {
        self.page.blank();
        let mut warnings = Vec::new();
        for remark in remarks {
            let warning = format!("{}: {}", self.places.of(&remark.place), remark.text);
            self.page.note("", &Note::new(format!("{warning}.")));
            warnings.push(warning);
        }
        warnings
    }

    /// What stands in `http` and `stream` themselves. What servers inherit stands in the servers.
    fn contexts(&mut self) {
        let contexts = self.scene.contexts.iter().zip(self.levels);
        for (context, limits) in contexts {
            self.page.blank();
            for note in &limits.bad {
                self.page.note("", note);
            }
            if let Some(status) = context.level.status {
                self.page.note("", &of_status(status, self.places));
            }
        }
    }

    /// What would be for servers that are not there.
    fn homeless(&mut self) {
        let contexts = self.scene.contexts.iter().zip(self.levels);
        for (index, (context, limits)) in contexts.enumerate() {
            self.page.blank();
            if context.servers.is_empty() {
                self.without_servers(index, context, limits);
            }
        }
    }

    fn upstreams(&mut self) {
        for context in &self.scene.contexts {
            for directive in &context.upstreams {
                if let Some(note) = upstream::note(directive, context.kind, self.places) {
                    self.page.blank();
                    self.page.note("", &note);
                }
            }
        }
    }

    fn requests(&mut self) {
        let requests = &self.scene.requests;
        let Some(first) = requests.first() else {
            return;
        };
        let more = match requests.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let text = format!(
            "{}{more}: limiter counts connections. Requests are left to nginx.",
            self.places.quote(first)
        );
        self.page.blank();
        self.page.note("", &Note::new(text));
    }
}

/// `limit_conn_status`
pub(super) fn of_status(directive: &Directive, places: &Places) -> Note {
    let text = format!(
        "{}: a refused connection gets no answer in HTTP. That clients learn of it at once:",
        places.quote(directive)
    );
    Note::new(text).instead("limit_conn_action reset;")
}
