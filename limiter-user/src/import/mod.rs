//! From a configuration of nginx or Angie to a limiter.conf.
//!
//! ```text
//! files ─ read ─ scene ──────┬─ zone ─ key ─ table ─ addresses      what is counted, and who is not
//!         tree   what counts └─ host ─ sockets ─ plan ─ exempt      who shares a socket, what holds
//!                                                  └─ fit ─ write ─ page   limiter.conf
//! ```
//!
//! nginx decides when it has read a request, the kernel before there is one. What stands in the
//! result therefore holds for every connection to a socket; whatever nginx makes depend on more
//! (a name, a location, a header) is a comment with the reason and what comes nearest. Where servers
//! differ, the result refuses nobody whom nginx would have served on account of the other one.
//!
//! Pure but for `read`. Whatever the input, the result is one that [`config`](crate::config) reads,
//! or there is an error; sizes are bounded.

mod addresses;
mod exempt;
mod fit;
mod host;
mod key;
mod listen;
mod location;
mod note;
mod page;
mod plan;
mod read;
mod scene;
mod sockets;
mod table;
mod upstream;
mod variable;
mod write;
mod zone;

#[cfg(test)]
mod tests;

use std::{io::Read as _, path::Path, rc::Rc, sync::Arc};

use limiter_common::policy::MAX_NETWORKS;

use self::{
    host::{Host, Limits},
    note::Places,
    page::Page,
    plan::Planner,
    scene::Scene,
    sockets::Group,
    write::Writer,
    zone::Zones,
};
use crate::config::{
    ConfigError,
    grammar::{Directive, Files, MAX_FILE_BYTES, Source, open_regular},
};

/// A translated configuration.
#[derive(Debug)]
pub struct Import {
    /// limiter.conf.
    pub text: String,
    /// What could not be read, or not as it should be; one line each.
    pub warnings: Vec<String>,
    /// What has become of it.
    pub summary: Summary,
}

/// What is in force in the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// `limit_conn_zone`
    pub zones: usize,
    /// `server`
    pub servers: usize,
    /// `limit_conn`
    pub limits: usize,
    /// Comments about what is not.
    pub notes: usize,
}

/// Translates a configuration file and everything that it includes.
///
/// # Errors
///
/// If the file cannot be read, if it or an included one is not in nginx's grammar, or if there is
/// too much of it.
pub fn load(path: &Path) -> Result<Import, ConfigError> {
    let mut files = Files::foreign();
    let first = files.open_first(path)?;
    import(&first, files)
}

/// Translates a configuration from memory. `name` stands for the file in messages; what the text
/// includes is looked for in the directory of `name`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(name: &str, text: &str) -> Result<Import, ConfigError> {
    let mut files = Files::foreign();
    let first = files.take_first(Path::new(name), text)?;
    import(&first, files)
}

/// The directives of a configuration, included files in their places, as `nginx -T` has them; nothing is
/// run, waited for or made for it. Files that say nothing of interest here may be left out.
///
/// # Errors
///
/// If it cannot be read: a sentence without anything of its content, which may not be meant for whoever
/// reads the sentence.
pub(crate) fn directives(path: &Path) -> Result<Vec<Directive>, String> {
    let file = open_regular(path).map_err(|e| e.to_string())?;
    let file = file.ok_or("it is no regular file")?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|e| e.to_string())?;
    let mut files = Files::foreign();
    let first = files.take_first(path, &text);
    let tree = first.and_then(|first| read::read(&first, files));
    tree.map(|tree| tree.directives)
        .map_err(|_| "it, or what it includes, is not in nginx's grammar".to_owned())
}

fn import(first: &Arc<Source>, files: Files) -> Result<Import, ConfigError> {
    let tree = read::read(first, files)?;
    let places = Places::new(first.directory());
    let scene = scene::look_through(&tree.directives);
    let zones = Zones::of(&scene);
    let contexts = scene.contexts.iter().enumerate();
    let levels: Vec<Rc<Limits>> = contexts
        .map(|(index, context)| Rc::new(Limits::read(&context.level, index, &zones, &places)))
        .collect();
    let (hosts, groups) = share(&scene, &levels, &zones, &places)?;
    let planner = Planner {
        hosts: &hosts,
        zones: &zones,
        places: &places,
    };
    let mut plans: Vec<_> = groups.into_iter().map(|it| planner.plan(it)).collect();
    let mut room = MAX_NETWORKS;
    for plan in &mut plans {
        exempt::settle(plan, &zones, &places, &mut room);
    }
    let writer = Writer {
        scene: &scene,
        levels: &levels,
        hosts: &hosts,
        zones: &zones,
        plans: &plans,
        fit: &fit::fit(&plans),
        places: &places,
        page: Page::default(),
        summary: Summary::default(),
    };
    writer.write(first.path(), &tree.remarks)
}

/// The servers, and which of them share sockets.
fn share<'t>(
    scene: &'t Scene<'t>,
    levels: &[Rc<Limits>],
    zones: &Zones,
    places: &Places,
) -> Result<(Vec<Host<'t>>, Vec<Group>), ConfigError> {
    let mut hosts: Vec<Host<'t>> = Vec::new();
    let mut claims = Vec::new();
    let mut nowhere = Vec::new();
    for (index, context) in scene.contexts.iter().enumerate() {
        for server in &context.servers {
            let mut host = Host::read(server, (index, context), &levels[index], zones, places);
            let before = claims.len();
            host.claim(hosts.len(), context.kind, places, &mut claims);
            if claims.len() == before {
                nowhere.push(Group {
                    listens: Vec::new(),
                    servers: vec![hosts.len()],
                });
            }
            hosts.push(host);
        }
    }
    let mut groups = sockets::groups(&claims)?;
    groups.append(&mut nowhere);
    Ok((hosts, groups))
}
