//! `attach cgroup PATH` and `attach interface NAME [mode=MODE]`

use std::mem::discriminant;

use super::{
    build::{absolute_path, invalid_parameter, invalid_value, misread, refuse_parameters},
    error::{ConfigError, shown},
    expand::{Item, duplicate},
    source::Span,
    syntax::Word,
    word::{self, WordError},
};
use crate::policy::{
    Attach, Interface, XdpMode,
    origin::{InterfaceOrigins, Origin},
};

/// Of each kind at the most.
const MAX_ATTACH: usize = 64;

/// Bytes of an interface's name at the most (`IFNAMSIZ` with the final zero).
const MAX_INTERFACE_NAME: usize = 15;

const MODES: [(&str, XdpMode); 3] = [
    ("auto", XdpMode::Auto),
    ("native", XdpMode::Native),
    ("generic", XdpMode::Generic),
];

/// The `attach` directives read so far.
#[derive(Debug, Default)]
pub(super) struct Attachments(Vec<Attachment>);

#[derive(Debug)]
struct Attachment {
    attach: Attach,
    word: Word,
    /// Of `mode=`.
    mode: Option<Span>,
}

impl Attachments {
    pub(super) fn take(&mut self, item: &Item) -> Result<(), ConfigError> {
        let kind = item.argument(0);
        let attach = match kind.value.as_str() {
            "cgroup" => {
                refuse_parameters(item, 2)?;
                Attach::Cgroup(absolute_path(item, item.argument(1))?)
            }
            "interface" => Attach::Interface(interface(item)?),
            _ => {
                let expected = "it must be \"cgroup\" or \"interface\"";
                return Err(invalid_value(item, kind, expected));
            }
        };
        let mut others = self.0.iter();
        if let Some(first) = others.find(|other| is_same_place(&other.attach, &attach)) {
            return Err(duplicate(&item.word, &first.word));
        }
        let others = self.0.iter();
        let of_its_kind =
            others.filter(|other| discriminant(&other.attach) == discriminant(&attach));
        if of_its_kind.count() == MAX_ATTACH {
            let message = format!("too many {}s, {MAX_ATTACH} at the most", kind.value);
            return Err(ConfigError::at(&item.word.span, message));
        }
        self.0.push(Attachment {
            attach,
            word: item.word.clone(),
            mode: item.arguments.get(2).map(|word| word.span.clone()),
        });
        Ok(())
    }

    /// Where the cgroups and the interfaces come from.
    pub(super) fn origins(&self) -> (Vec<Origin>, Vec<InterfaceOrigins>) {
        let (mut cgroups, mut interfaces) = (Vec::new(), Vec::new());
        for one in &self.0 {
            let origin = one.word.span.origin();
            match one.attach {
                Attach::Cgroup(_) => cgroups.push(origin),
                Attach::Interface(_) => interfaces.push(InterfaceOrigins {
                    interface: origin,
                    mode: one.mode.as_ref().map(Span::origin).unwrap_or_default(),
                }),
            }
        }
        (cgroups, interfaces)
    }

    pub(super) fn into_attach(self) -> Vec<Attach> {
        self.0.into_iter().map(|one| one.attach).collect()
    }
}

/// Whether the second adds nothing to the first. An interface has one mode.
pub(super) fn is_same_place(one: &Attach, other: &Attach) -> bool {
    match (one, other) {
        (Attach::Cgroup(one), Attach::Cgroup(other)) => one == other,
        (Attach::Interface(one), Attach::Interface(other)) => one.name == other.name,
        _ => false,
    }
}

/// The name of an interface, by the rules of `dev_valid_name` in the kernel's net/core/dev.c. There
/// 0xa0, the no-break space of Latin-1, is a blank.
pub(super) fn interface_name(word: &str) -> Result<String, WordError> {
    let forbidden = |byte| matches!(byte, b'/' | b':' | b' ' | b'\t'..=b'\r' | 0xa0);
    let fits = (1..=MAX_INTERFACE_NAME).contains(&word.len());
    if fits && word != "." && word != ".." && !word.bytes().any(forbidden) {
        return Ok(word.to_owned());
    }
    Err(WordError::new(
        format!("invalid interface name \"{}\"", shown(word)),
        format!(
            "expected the name of an interface: \
             1 to {MAX_INTERFACE_NAME} bytes without blanks, \"/\" and \":\""
        ),
    ))
}

fn interface(item: &Item) -> Result<Interface, ConfigError> {
    let word = item.argument(1);
    let name = interface_name(&word.value).map_err(|error| misread(word, error))?;
    let mode = item.arguments.get(2).map(|word| mode(item, word));
    Ok(Interface {
        name,
        mode: mode.transpose()?.unwrap_or_default(),
    })
}

/// `mode=auto|native|generic`
fn mode(item: &Item, word: &Word) -> Result<XdpMode, ConfigError> {
    let Some(text) = word.value.strip_prefix("mode=") else {
        return Err(invalid_parameter(word).expected("expected mode=auto|native|generic"));
    };
    word::one_of(text, &MODES).map_err(|error| invalid_value(item, word, &error.expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_named_as_the_kernel_allows() {
        for name in [
            "e",
            "eth0",
            "eth0.100",
            "wlp0s20f3",
            "br-0123456789ab",
            "a_b@c%d",
            "...",
            "é",
        ] {
            assert_eq!(interface_name(name), Ok(name.to_owned()));
        }
        for name in [
            "",
            ".",
            "..",
            "sixteen-bytes-ab",
            "a/b",
            "a:1",
            "a b",
            "a\tb",
            "a\n",
            // 0xc3 0xa0
            "à",
        ] {
            let error = interface_name(name).expect_err(name);
            let message = format!("invalid interface name \"{}\"", shown(name));
            assert_eq!(error.message, message);
        }
    }
}
