//! From text to a tree of directives that nobody has looked at yet.

use std::{ops::Range, sync::Arc};

use super::{
    directives,
    error::{ConfigError, shown},
    lexer::{TokenKind, Tokens},
    source::{Source, Span},
};

/// Blocks inside each other at the most.
const MAX_NESTING: usize = 16;

/// One word as typed.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Without quotes and escapes.
    pub(super) value: String,
    /// With them.
    pub(super) span: Span,
}

impl Word {
    /// The place of a part of the value; the whole word where quotes or escapes are in between.
    pub(super) fn part(&self, range: Range<usize>) -> Span {
        if self.span.text() == self.value {
            self.span.part(range)
        } else {
            self.span.clone()
        }
    }
}

/// `NAME ARGUMENTS;` or `NAME ARGUMENTS { … }`.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) name: Word,
    pub(super) arguments: Vec<Word>,
    pub(super) block: Option<Block>,
}

impl Directive {
    /// The last word of it, blocks aside.
    pub(super) fn last_word(&self) -> &Word {
        self.arguments.last().unwrap_or(&self.name)
    }
}

/// `{ … }`
#[derive(Debug)]
pub(super) struct Block {
    /// Of its opening brace.
    pub(super) open: Span,
    pub(super) directives: Vec<Directive>,
}

/// The directives of one source, in order.
///
/// # Errors
///
/// Whatever is wrong with quotes, braces and semicolons, in nginx's words.
pub(super) fn parse(source: &Arc<Source>) -> Result<Vec<Directive>, ConfigError> {
    let mut open = OpenBlocks::default();
    let mut words: Vec<Word> = Vec::new();
    let mut last = Span::new(source, 0..0);
    for token in Tokens::new(source.text()) {
        let token = token.map_err(|error| {
            ConfigError::at(&Span::new(source, error.range), error.message).expected(error.expected)
        })?;
        let span = Span::new(source, token.range);
        last = span.clone();
        match token.kind {
            TokenKind::Word(value) => {
                let word = Word { value, span };
                if token.first_on_line {
                    refuse_next_directive(&words, &word)?;
                }
                words.push(word);
            }
            TokenKind::Semicolon => open.simple(take_words(&mut words, ";", &span)?),
            TokenKind::OpenBrace => open.begin(take_words(&mut words, "{", &span)?, span)?,
            TokenKind::CloseBrace => match words.as_slice() {
                [] => open.end(&span)?,
                [name, ..] => return Err(not_terminated(name, &words)),
            },
        }
    }
    if !words.is_empty() {
        let message = "unexpected end of file, expecting \";\" or \"}\"";
        return Err(ConfigError::at(&last.behind(), message).expected("expected \";\" here"));
    }
    open.finish(&last)
}

/// The directives read so far, and the blocks around the one to come.
#[derive(Default)]
struct OpenBlocks {
    /// Of the innermost block.
    directives: Vec<Directive>,
    /// From the outermost to the innermost: what stands before the block, its head, its brace.
    around: Vec<(Vec<Directive>, Head, Span)>,
}

/// Name and arguments.
type Head = (Word, Vec<Word>);

impl OpenBlocks {
    fn simple(&mut self, (name, arguments): Head) {
        self.directives.push(Directive {
            name,
            arguments,
            block: None,
        });
    }

    fn begin(&mut self, head: Head, brace: Span) -> Result<(), ConfigError> {
        if self.around.len() == MAX_NESTING {
            let message = format!("blocks are nested too deeply, {MAX_NESTING} levels at the most");
            return Err(ConfigError::at(&brace, message).expected("one block too many"));
        }
        let before = std::mem::take(&mut self.directives);
        self.around.push((before, head, brace));
        Ok(())
    }

    fn end(&mut self, brace: &Span) -> Result<(), ConfigError> {
        let Some((before, (name, arguments), open)) = self.around.pop() else {
            return Err(
                ConfigError::at(brace, "unexpected \"}\"").expected("no block is open here")
            );
        };
        let directives = std::mem::replace(&mut self.directives, before);
        self.directives.push(Directive {
            name,
            arguments,
            block: Some(Block { open, directives }),
        });
        Ok(())
    }

    fn finish(self, last: &Span) -> Result<Vec<Directive>, ConfigError> {
        let Some((_, (name, _), open)) = self.around.last() else {
            return Ok(self.directives);
        };
        let message = "unexpected end of file, expecting \"}\"";
        Err(ConfigError::at(&last.behind(), message)
            .expected("expected \"}\" here")
            .related(
                open,
                format!("the block of \"{}\" begins here", shown(&name.value)),
            ))
    }
}

fn take_words(words: &mut Vec<Word>, token: &str, span: &Span) -> Result<Head, ConfigError> {
    let mut words = std::mem::take(words).into_iter();
    let Some(name) = words.next() else {
        return Err(ConfigError::at(span, format!("unexpected \"{token}\""))
            .expected("expected the name of a directive"));
    };
    Ok((name, words.collect()))
}

/// A directive's name at the start of a line, in the middle of another directive: the semicolon
/// before it was forgotten. nginx would count it among the arguments.
fn refuse_next_directive(words: &[Word], word: &Word) -> Result<(), ConfigError> {
    let unquoted = word.span.text() == word.value;
    match words {
        [name, ..] if unquoted && directives::find(&word.value).is_some() => {
            Err(not_terminated(name, words)
                .related(&word.span, "the next directive begins here")
                .help(format!(
                    "if \"{}\" is meant as an argument, put it in quotes",
                    word.value
                )))
        }
        _ => Ok(()),
    }
}

fn not_terminated(name: &Word, words: &[Word]) -> ConfigError {
    let place = words
        .last()
        .map_or_else(|| name.span.behind(), |word| word.span.behind());
    let message = format!(
        "directive \"{}\" is not terminated by \";\"",
        shown(&name.value)
    );
    ConfigError::at(&place, message).expected("expected \";\" here")
}
