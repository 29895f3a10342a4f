//! Where a block of Lua ends. Its braces are balanced, but for those in strings and comments
//! (Lua 5.1 manual, §2.1).

/// The length in bytes of the code at the beginning of `text`, up to the brace that closes it.
/// `None`: no brace does.
pub(super) fn block(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'{' => {
                depth += 1;
                1
            }
            b'}' if depth == 0 => return Some(at),
            b'}' => {
                depth -= 1;
                1
            }
            b'"' | b'\'' => string(&bytes[at..])?,
            b'-' if bytes[at..].starts_with(b"--") => comment(&text[at..])?,
            b'[' => long_bracket(&text[at..])?.unwrap_or(1),
            _ => 1,
        };
    }
    None
}

/// Length of a string in quotes.
fn string(bytes: &[u8]) -> Option<usize> {
    let quote = *bytes.first()?;
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Length of a comment, the two dashes included.
fn comment(text: &str) -> Option<usize> {
    const DASHES: usize = 2;
    if let Some(length) = long_bracket(&text[DASHES..])? {
        return Some(DASHES + length);
    }
    Some(text.find('\n').unwrap_or(text.len()))
}

/// Length of `[[ … ]]`, `[=[ … ]=]` and so on. `Some(None)`: it is nothing of the kind.
fn long_bracket(text: &str) -> Option<Option<usize>> {
    let Some(inside) = text.strip_prefix('[') else {
        return Some(None);
    };
    let level = inside.bytes().take_while(|byte| *byte == b'=').count();
    if !inside[level..].starts_with('[') {
        return Some(None);
    }
    let close = format!("]{}]", "=".repeat(level));
    text.find(&close).map(|at| Some(at + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_strings_and_comments_do_not_count() {
        for code in [
            "",
            " ngx.say(1) ",
            "local t = { a = {}, b = { {} } }",
            "x = \"}\" y = '}' z = \"\\\"}\"",
            "-- it's }\n x = 1",
            "--[[ } \n } ]] x = 1",
            "--[==[ ]] } ]==] x = 1",
            "x = [[ } ]] y = [=[ ]] } ]=]",
            "t[1] = t[ [[}]] ] a = b - - 1 -- ü }\n",
        ] {
            let text = format!("{code}}} rest }}");
            assert_eq!(block(&text), Some(code.len()), "{code}");
        }
    }

    #[test]
    fn a_block_that_does_not_end_has_no_length() {
        for text in ["", "{ }", "x = \"}", "'\\", "[[ }", "--[[ }", "-- }", "--"] {
            assert_eq!(block(text), None, "{text}");
        }
    }
}
