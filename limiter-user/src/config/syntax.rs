//! From text to a tree of directives that nobody has looked at yet.

use std::{ops::Range, sync::Arc};

use super::{
    directives,
    error::{ConfigError, shown},
    lexer::{Dialect, TokenKind, Tokens},
    source::{Source, Span},
};

/// Blocks inside each other at the most.
const MAX_NESTING: usize = 16;

/// One word as typed.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// Without quotes and escapes.
    pub(crate) value: String,
    /// With them.
    pub(crate) span: Span,
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
pub(crate) struct Directive {
    pub(crate) name: Word,
    pub(crate) arguments: Vec<Word>,
    pub(crate) block: Option<Block>,
}

impl Directive {
    /// The last word of it, blocks aside.
    pub(super) fn last_word(&self) -> &Word {
        self.arguments.last().unwrap_or(&self.name)
    }
}

/// `{ … }`
#[derive(Debug)]
pub(crate) struct Block {
    /// Of its opening brace.
    pub(super) open: Span,
    pub(crate) directives: Vec<Directive>,
}

/// The directives of one source, in order.
///
/// # Errors
///
/// Whatever is wrong with quotes, braces and semicolons, in nginx's words.
pub(super) fn parse(source: &Arc<Source>) -> Result<Vec<Directive>, ConfigError> {
    let mut reader = Reader::new(source, Dialect::Limiter);
    reader.read()?;
    reader.open.finish(&reader.last)
}

/// A source of nginx or Angie.
#[derive(Debug)]
pub(crate) struct Foreign {
    /// In order.
    pub(crate) directives: Vec<Directive>,
    /// The names of the blocks that the text leaves open, from the outermost to the innermost.
    pub(crate) unclosed: Vec<Word>,
}

/// Reads a source of nginx or Angie. It may be an example of their documentation: `...` alone
/// stands for directives that are left out, and blocks need no end.
///
/// # Errors
///
/// As [`parse`].
pub(crate) fn parse_foreign(source: &Arc<Source>) -> Result<Foreign, ConfigError> {
    let mut reader = Reader::new(source, Dialect::Nginx);
    reader.read()?;
    Ok(reader.open.finish_wherever())
}

/// A text while it is being read.
struct Reader<'a> {
    source: &'a Arc<Source>,
    dialect: Dialect,
    open: OpenBlocks,
    /// Of the directive being read.
    words: Vec<Word>,
    last: Span,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Arc<Source>, dialect: Dialect) -> Self {
        Self {
            source,
            dialect,
            open: OpenBlocks::default(),
            words: Vec::new(),
            last: Span::new(source, 0..0),
        }
    }

    fn read(&mut self) -> Result<(), ConfigError> {
        for token in Tokens::new(self.source.text(), self.dialect) {
            let token = token.map_err(|error| {
                ConfigError::at(&Span::new(self.source, error.range), error.message)
                    .expected(error.expected)
            })?;
            self.last = Span::new(self.source, token.range);
            if token.first_on_line || token.kind == TokenKind::CloseBrace {
                self.leave_out_ellipsis();
            }
            self.take(token.kind, token.first_on_line)?;
        }
        self.leave_out_ellipsis();
        if self.words.is_empty() {
            return Ok(());
        }
        let message = "unexpected end of file, expecting \";\" or \"}\"";
        Err(ConfigError::at(&self.last.behind(), message).expected("expected \";\" here"))
    }

    fn take(&mut self, kind: TokenKind, first_on_line: bool) -> Result<(), ConfigError> {
        let span = self.last.clone();
        let words = &mut self.words;
        match kind {
            TokenKind::Word(value) => {
                let word = Word { value, span };
                if first_on_line && self.dialect == Dialect::Limiter {
                    refuse_next_directive(words, &word)?;
                }
                words.push(word);
                Ok(())
            }
            TokenKind::Semicolon => {
                self.open.simple(take_words(words, ";", &span)?);
                Ok(())
            }
            TokenKind::OpenBrace => self.open.begin(take_words(words, "{", &span)?, span),
            TokenKind::CloseBrace => match words.as_slice() {
                [] => self.open.end(&span),
                [name, ..] => Err(not_terminated(name, words)),
            },
        }
    }

    /// Documentation writes `...` where a reader has something of his own.
    fn leave_out_ellipsis(&mut self) {
        let [word] = self.words.as_slice() else {
            return;
        };
        if self.dialect == Dialect::Nginx && matches!(word.value.as_str(), "..." | "…") {
            self.words.clear();
        }
    }
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

    /// Closes what is still open.
    fn finish_wherever(mut self) -> Foreign {
        let mut unclosed: Vec<Word> = Vec::new();
        while let Some((_, (name, _), brace)) = self.around.last() {
            let brace = brace.clone();
            unclosed.insert(0, name.clone());
            // There is a block, so it can be closed.
            let _ = self.end(&brace);
        }
        Foreign {
            directives: self.directives,
            unclosed,
        }
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
        [name, ..] if unquoted && directives::is_known(&word.value) => {
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
