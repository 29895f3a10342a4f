//! From the tree as typed to known directives in their places, files included.

use std::sync::Arc;

use super::{
    directives::{self, Context, Kind, Known, Shape},
    error::{ConfigError, shown},
    files::Files,
    source::Source,
    syntax::{self, Directive, Word},
    word,
};

/// A directive that is known, stands where it may, and has as many arguments as it takes.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) kind: Kind,
    /// Its name as typed.
    pub(super) word: Word,
    pub(super) arguments: Vec<Word>,
    /// Of a `server` or an `upstream`; everything else has none.
    pub(super) items: Vec<Item>,
}

impl Item {
    /// An argument by position. They have been counted: one that the table demands is there, and
    /// the name in its stead is never seen.
    pub(super) fn argument(&self, index: usize) -> &Word {
        self.arguments.get(index).unwrap_or(&self.word)
    }
}

/// The directives of the first source, with those of included files in place, and without the
/// braces of `stream`.
pub(super) fn expand(first: &Arc<Source>, files: Files) -> Result<Vec<Item>, ConfigError> {
    let mut expansion = Expansion {
        files,
        stream: None,
    };
    let mut items = Vec::new();
    expansion.all(syntax::parse(first)?, Context::Main, &mut items)?;
    Ok(items)
}

struct Expansion {
    files: Files,
    /// The `stream` block, once it has been seen.
    stream: Option<Word>,
}

impl Expansion {
    fn all(
        &mut self,
        directives: Vec<Directive>,
        context: Context,
        items: &mut Vec<Item>,
    ) -> Result<(), ConfigError> {
        for directive in directives {
            self.one(directive, context, items)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        directive: Directive,
        context: Context,
        items: &mut Vec<Item>,
    ) -> Result<(), ConfigError> {
        let kind = recognise(&directive, context)?;
        let Directive {
            name: word,
            arguments,
            block,
        } = directive;
        let inside = block.map_or_else(Vec::new, |block| block.directives);
        match kind {
            Kind::Include => self.include(&arguments, context, items),
            Kind::Stream => {
                if let Some(first) = &self.stream {
                    return Err(duplicate(&word, first));
                }
                self.stream = Some(word);
                self.all(inside, Context::Stream, items)
            }
            kind => {
                let mut own = Vec::new();
                let context = match kind {
                    Kind::Upstream => Context::Upstream,
                    _ => Context::Server,
                };
                self.all(inside, context, &mut own)?;
                items.push(Item {
                    kind,
                    word,
                    arguments,
                    items: own,
                });
                Ok(())
            }
        }
    }

    fn include(
        &mut self,
        arguments: &[Word],
        context: Context,
        items: &mut Vec<Item>,
    ) -> Result<(), ConfigError> {
        for word in arguments {
            let paths = self.files.included(word, word.span.source().directory());
            for path in paths.map_err(|failed| failed.at(word))? {
                let source = self.files.enter(&path, word)?;
                self.all(syntax::parse(&source)?, context, items)?;
                self.files.leave();
            }
        }
        Ok(())
    }
}

/// A simple directive that stands twice in one context.
pub(super) fn duplicate(second: &Word, first: &Word) -> ConfigError {
    let message = format!("\"{}\" directive is duplicate", shown(&second.value));
    let place = first.span.to_string();
    ConfigError::at(&second.span, message)
        .expected("given for the second time")
        .related(&first.span, "given here before")
        .help(format!("it stands at {place} already; keep one of the two"))
}

/// Checks everything about a directive that the table knows.
fn recognise(directive: &Directive, context: Context) -> Result<Kind, ConfigError> {
    let word = &directive.name;
    let known = match directives::find(&word.value, context) {
        Some(Known::Ready(known)) => known,
        Some(Known::Foreign { instead }) => {
            let message = format!("\"{}\" directive is not supported: {instead}", word.value);
            return Err(ConfigError::at(&word.span, message).expected("not a directive of limiter"));
        }
        None => {
            let message = format!("unknown directive \"{}\"", shown(&word.value));
            let error = ConfigError::at(&word.span, message);
            return Err(match directives::closest(&word.value) {
                Some(close) => error.expected(format!("did you mean \"{close}\"?")),
                None => error.expected("expected a directive of limiter"),
            });
        }
    };
    if !known.is_allowed_in(context) {
        let message = format!("\"{}\" directive is not allowed here", word.value);
        return Err(ConfigError::at(&word.span, message).expected(known.place()));
    }
    let usage = || format!("usage: {}", known.usage);
    match (known.shape, &directive.block) {
        (Shape::Simple { .. } | Shape::CountOrOff { .. }, Some(block)) => {
            let message = format!("directive \"{}\" is not terminated by \";\"", word.value);
            return Err(ConfigError::at(&block.open, message)
                .expected("expected \";\"")
                .help(usage()));
        }
        (Shape::Block | Shape::NamedBlock, None) => {
            let message = format!("directive \"{}\" has no opening \"{{\"", word.value);
            return Err(
                ConfigError::at(&directive.last_word().span.behind(), message)
                    .expected("expected \"{\"")
                    .help(usage()),
            );
        }
        _ => {}
    }
    let (least, most) = match known.shape {
        Shape::Simple { least, most } => (least, most),
        Shape::CountOrOff { count } => match directive.arguments.as_slice() {
            [word] if word::is_off(&word.value) => (1, 1),
            _ => (count, count),
        },
        Shape::Block => (0, 0),
        Shape::NamedBlock => (1, 1),
    };
    if (least..=most).contains(&directive.arguments.len()) {
        return Ok(known.kind);
    }
    let message = format!(
        "invalid number of arguments in \"{}\" directive",
        word.value
    );
    let error = match directive.arguments.get(most) {
        Some(extra) => ConfigError::at(&extra.span, message).expected("one argument too many"),
        None => ConfigError::at(&directive.last_word().span.behind(), message)
            .expected("expected another argument"),
    };
    Err(error.help(usage()))
}
