//! From text to tokens, by nginx's rules (src/core/ngx_conf_file.c, ngx_conf_read_token).
//!
//! Two differences, both in favour of the person who types: in files of limiter, `}` ends an
//! unquoted word unless it closes `${name}`; and a backslash before a character that would end an
//! unquoted word is removed.

use std::ops::Range;

use winnow::{
    Parser, Result,
    combinator::{alt, dispatch, eof, opt, peek, repeat},
    error::ParserError,
    stream::{LocatingSlice, Location, Stream},
    token::{any, one_of, take_till, take_while},
};

use super::lua;

/// Bytes of one word at the most, without its quotes and escapes: so a word that was taken can
/// always be written again.
pub(super) const MAX_WORD_BYTES: usize = 4096;

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// limiter's.
    Limiter,
    /// nginx's or Angie's: `}` within a word is an ordinary character, `)` may follow a quoted
    /// string, and there may be blocks of Lua.
    Nginx,
}

impl Dialect {
    fn ends_word(self, c: char) -> bool {
        matches!(c, ' ' | '\t' | '\r' | '\n' | ';' | '{') || c == '}' && self == Self::Limiter
    }

    /// What may stand right behind a closing quote.
    fn follows_quote(self, c: char) -> bool {
        c == '}' || c == ')' && self == Self::Nginx || self.ends_word(c)
    }
}

/// What the grammar is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word without its quotes and escapes.
    Word(String),
    /// `;`
    Semicolon,
    /// `{`
    OpenBrace,
    /// `}`
    CloseBrace,
}

/// One token with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) range: Range<usize>,
    /// Nothing but blanks stands before it on its line.
    pub(super) first_on_line: bool,
}

/// A text that cannot be cut into tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LexError {
    pub(super) message: String,
    pub(super) expected: &'static str,
    pub(super) range: Range<usize>,
}

type Input<'a> = LocatingSlice<&'a str>;

/// The tokens of a text, one by one: what is wrong early on is found before the rest is looked at.
///
/// An item is an error for a quoted string that does not end, or that touches the next word, for a
/// word that is too long, and for a block of Lua that does not end. Nothing follows it.
pub(super) struct Tokens<'a> {
    input: Input<'a>,
    dialect: Dialect,
    code: Code,
    first_on_line: bool,
    failed: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        // Windows editors put a byte order mark in front.
        let mut input = LocatingSlice::new(text);
        if text.starts_with(BYTE_ORDER_MARK) {
            input.next_slice(BYTE_ORDER_MARK.len_utf8());
        }
        Self {
            input,
            dialect,
            code: Code::default(),
            first_on_line: true,
            failed: false,
        }
    }

    fn read(&mut self) -> Result<Option<Token>, LexError> {
        let first_on_line = blanks(&mut self.input)? || self.first_on_line;
        if self.input.is_empty() {
            return Ok(None);
        }
        self.first_on_line = false;
        let (kind, range) = token(self.dialect)
            .with_span()
            .parse_next(&mut self.input)?;
        if let TokenKind::Word(word) = &kind
            && word.len() > MAX_WORD_BYTES
        {
            return Err(LexError {
                message: format!("too long parameter, {MAX_WORD_BYTES} bytes at the most"),
                expected: "starts here",
                range: range.start..range.start,
            });
        }
        if self.dialect == Dialect::Nginx && self.code.begins_with(&kind) {
            let Some(length) = lua::block(&self.input) else {
                return Err(LexError {
                    message: "unexpected end of file, the Lua code has no closing \"}\"".to_owned(),
                    expected: "this block does not end",
                    range,
                });
            };
            self.input.next_slice(length);
        }
        Ok(Some(Token {
            kind,
            range,
            first_on_line,
        }))
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<Token, LexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let token = self.read().transpose();
        self.failed = matches!(token, Some(Err(_)));
        token
    }
}

/// Finds the blocks that hold Lua: those of OpenResty's directives `…_by_lua_block`.
#[derive(Default)]
struct Code {
    /// Of the directive being read: whether it is one of them. `None`: its name is still to come.
    directive: Option<bool>,
}

impl Code {
    /// Whether code follows this token.
    fn begins_with(&mut self, kind: &TokenKind) -> bool {
        if let TokenKind::Word(word) = kind {
            self.directive
                .get_or_insert_with(|| word.ends_with("_by_lua_block"));
            return false;
        }
        self.directive.take() == Some(true) && *kind == TokenKind::OpenBrace
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Skips blanks and comments; whether a line ended.
fn blanks(input: &mut Input<'_>) -> Result<bool, LexError> {
    let skipped = repeat::<_, _, (), _, _>(
        0..,
        alt((
            one_of((' ', '\t', '\r', '\n')).void(),
            ('#', take_till(0.., '\n')).void(),
        )),
    )
    .take()
    .parse_next(input)?;
    Ok(skipped.contains('\n'))
}

fn token<'a>(dialect: Dialect) -> impl Parser<Input<'a>, TokenKind, LexError> {
    dispatch! { peek(any);
        ';' => any.value(TokenKind::Semicolon),
        '{' => any.value(TokenKind::OpenBrace),
        '}' => any.value(TokenKind::CloseBrace),
        '"' | '\'' => (|input: &mut _| quoted(input, dialect)).map(TokenKind::Word),
        _ => (|input: &mut _| bare(input, dialect)).map(TokenKind::Word),
    }
}

/// A word without quotes. Quotes and `#` inside of it are ordinary characters.
fn bare(input: &mut Input<'_>, dialect: Dialect) -> Result<String, LexError> {
    let ends_word = |c| dialect.ends_word(c);
    repeat(
        1..,
        alt((
            ('\\', any)
                .take()
                .map(|escape: &str| match escape.as_bytes()[1] {
                    b' ' | b';' | b'{' | b'}' | b'#' => &escape[1..],
                    _ => unescaped(escape),
                }),
            ("${", take_while(0.., |c| !ends_word(c)), opt('}')).take(),
            one_of(('\\', '$')).take(),
            take_while(1.., |c| !ends_word(c) && c != '\\' && c != '$'),
        )),
    )
    .parse_next(input)
}

/// A string in single or double quotes; what it may touch is a blank, `;`, a brace or the end.
fn quoted(input: &mut Input<'_>, dialect: Dialect) -> Result<String, LexError> {
    let start = input.current_token_start();
    let quote = any.parse_next(input)?;
    let word = repeat(
        0..,
        alt((
            ('\\', any).take().map(unescaped),
            take_till(1.., |c| c == quote || c == '\\'),
        )),
    )
    .parse_next(input)?;
    let end = input.current_token_start();
    if opt(quote).parse_next(input)?.is_none() {
        return Err(LexError {
            message: format!(
                "unexpected end of file, probably missing terminating \"{quote}\" character"
            ),
            expected: "this string does not end",
            range: start..start + 1,
        });
    }
    match peek(alt((any.map(Some), eof.value(None)))).parse_next(input)? {
        Some(next) if !dialect.follows_quote(next) => Err(LexError {
            message: format!("unexpected \"{}\"", next.escape_default()),
            expected: "expected a blank, \";\" or a brace after the closing quote",
            range: end + 1..end + 1 + next.len_utf8(),
        }),
        _ => Ok(word),
    }
}

/// nginx's escapes; any other backslash stays, as systemd's `\x2d` in the path of a cgroup.
fn unescaped(escape: &str) -> &str {
    match &escape[1..] {
        quote @ ("\"" | "'" | "\\") => quote,
        "t" => "\t",
        "r" => "\r",
        "n" => "\n",
        _ => escape,
    }
}

/// Every parser above accepts any text that is left, or says itself what is wrong; this is what
/// winnow asks for in between.
impl<'a> ParserError<Input<'a>> for LexError {
    type Inner = Self;

    fn from_input(input: &Input<'a>) -> Self {
        let at = input.current_token_start();
        Self {
            message: "unexpected character".to_owned(),
            expected: "",
            range: at..at,
        }
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}
