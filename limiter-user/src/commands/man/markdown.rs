//! Markdown as README has it → roff: headings, paragraphs, lists, code, and tables of directives.

use std::mem;

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Writes `text`, with its headings as subsections.
pub(super) fn write(roff: &mut Roff, text: &str) {
    let mut writer = Writer {
        roff,
        line: Vec::new(),
        cells: Vec::new(),
        heading: Vec::new(),
        emphasis: false,
        item: false,
        code: false,
    };
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        writer.take(event);
    }
}

struct Writer<'a> {
    roff: &'a mut Roff,
    /// What was read of the paragraph, heading, item or cell.
    line: Vec<Inline>,
    /// Cells of the row.
    cells: Vec<Vec<Inline>>,
    /// What stands above the columns.
    heading: Vec<String>,
    emphasis: bool,
    /// The next paragraph begins an item.
    item: bool,
    /// Inside of a block of code.
    code: bool,
}

impl Writer<'_> {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) if self.code => self.example(&text),
            Event::Text(text) if self.emphasis => self.line.push(bold(text.into_string())),
            Event::Text(text) => self.line.push(roman(text.into_string())),
            Event::Code(code) => self.line.extend(inline_code(&code)),
            Event::SoftBreak | Event::HardBreak => self.line.push(roman(" ")),
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            // README has none of the rest in what is written here.
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Strong | Tag::Emphasis => self.emphasis = true,
            Tag::Item => {
                self.roff.control("IP", ["\\(bu", "2"]);
                self.item = true;
            }
            // Its first paragraph stands beside the bullet.
            Tag::Paragraph if !mem::take(&mut self.item) => {
                self.roff.control("PP", []);
            }
            Tag::CodeBlock(_) => {
                self.code = true;
                self.roff.control("PP", []);
                self.roff.control("RS", ["4"]);
                self.roff.control("nf", []);
            }
            Tag::Table(_) => self.heading.clear(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong | TagEnd::Emphasis => self.emphasis = false,
            TagEnd::Paragraph | TagEnd::Item => self.flush(),
            TagEnd::Heading(_) => {
                let title = plain(&mem::take(&mut self.line));
                self.roff.control("SS", [title.as_str()]);
            }
            TagEnd::CodeBlock => {
                self.code = false;
                self.roff.control("fi", []);
                self.roff.control("RE", []);
            }
            TagEnd::TableCell => self.cells.push(mem::take(&mut self.line)),
            TagEnd::TableHead => {
                let cells = mem::take(&mut self.cells);
                self.heading = cells.iter().map(|cell| capitalized(&plain(cell))).collect();
            }
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    fn flush(&mut self) {
        self.item = false;
        let line = mem::take(&mut self.line);
        if !line.is_empty() {
            self.roff.text(line);
        }
    }

    fn example(&mut self, text: &str) {
        for line in text.lines() {
            self.roff.text([roman(line)]);
        }
    }

    /// The first cell is what the others tell about.
    fn row(&mut self) {
        let mut cells = mem::take(&mut self.cells).into_iter();
        self.roff.control("TP", []);
        self.roff.text(cells.next().unwrap_or_default());
        let mut about = Vec::new();
        for (title, cell) in self.heading.iter().skip(1).zip(cells) {
            if cell.is_empty() {
                continue;
            }
            if !about.is_empty() {
                about.push(roman(". "));
            }
            about.push(roman(format!("{title}: ")));
            about.extend(cell);
        }
        self.roff.text(about);
    }
}

/// As manual pages write it: what is typed in bold, what is put in place of a word in italics.
fn inline_code(code: &str) -> Vec<Inline> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || c == '-';
    let mut inlines = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first));
        let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
        inlines.push(if !is_word(first) {
            roman(part)
        } else if is_placeholder(part) {
            italic(part)
        } else {
            bold(part)
        });
        rest = after;
    }
    inlines
}

/// `NUMBER`, `ZONE`, `PORT-PORT`.
fn is_placeholder(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_uppercase() || c == '-';
    word.chars().all(is_part) && word.starts_with(|c: char| c.is_ascii_uppercase())
}

fn plain(inlines: &[Inline]) -> String {
    let texts = inlines.iter().map(|inline| match inline {
        Inline::Roman(text) | Inline::Bold(text) | Inline::Italic(text) => text.as_str(),
        Inline::LineBreak => " ",
    });
    texts.collect()
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_entries_and_lists_become_bullets() {
        let mut roff = Roff::new();
        write(
            &mut roff,
            "### Words\n\nA *file* with `x`.\n\n| directive | contexts | default |\n|---|---|---|\n\
             | `limit_conn ZONE a\\|b;` (several) | main | |\n\n- one\n  line\n- two\n\n```\nlisten 1;\n```\n",
        );
        let text = roff.render();
        let (_, text) = text.split_once(".SS").expect("a heading");
        assert_eq!(
            text,
            " Words\n.PP\nA \\fBfile\\fR with \\fBx\\fR.\n\
             .TP\n\\fBlimit_conn\\fR \\fIZONE\\fR \\fBa\\fR|\\fBb\\fR; (several)\nContexts: main\n\
             .IP \\(bu 2\none line\n.IP \\(bu 2\ntwo\n\
             .PP\n.RS 4\n.nf\nlisten 1;\n.fi\n.RE\n"
        );
    }
}
