//! The scanner: one pass over the bytes, no allocation.
//!
//! Called by the extensions `lines` and `words`. Invariant: pieces follow each other without a gap,
//! so that their texts joined are the source.

/// What a piece of source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything that is no comment and no string literal, line ends included.
    Code,
    /// From a `#` to the end of its line, without the line end.
    Comment,
    /// A string literal with its prefix and quotes. One that is not closed ends with its line, or
    /// with the source where it is triple-quoted.
    Text,
}

/// A stretch of source of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'source> {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: &'source str,
}

/// The pieces of a source, in order; made by [`pieces`].
#[derive(Debug, Clone)]
pub struct Pieces<'source> {
    rest: &'source str,
}

/// Cuts a source into pieces.
pub fn pieces(source: &str) -> Pieces<'_> {
    Pieces { rest: source }
}

impl<'source> Iterator for Pieces<'source> {
    type Item = Piece<'source>;

    fn next(&mut self) -> Option<Piece<'source>> {
        let bytes = self.rest.as_bytes();
        let first = *bytes.first()?;
        let (kind, length) = if first == b'#' {
            (Kind::Comment, line_length(bytes))
        } else if let Some(prefix) = literal_prefix(bytes) {
            (Kind::Text, prefix + literal_length(&bytes[prefix..]))
        } else {
            (Kind::Code, code_length(bytes))
        };
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(Piece { kind, text })
    }
}

/// The bytes up to the line's end.
fn line_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len())
}

/// The bytes of code up to the next comment or literal.
fn code_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if is_word(byte) {
            // A word as a whole, or the last letter of `bar"x"` would pass for a prefix.
            at += bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        } else {
            at += 1;
        }
        if at < bytes.len() && (bytes[at] == b'#' || literal_prefix(&bytes[at..]).is_some()) {
            return at;
        }
    }
    at
}

/// The length of a literal's prefix, when a literal begins here.
fn literal_prefix(bytes: &[u8]) -> Option<usize> {
    let length = bytes
        .iter()
        .take(3)
        .take_while(|byte| matches!(byte, b'r' | b'R' | b'b' | b'B' | b'u' | b'U' | b'f' | b'F'))
        .count();
    (length < 3 && matches!(bytes.get(length), Some(b'\'' | b'"'))).then_some(length)
}

/// The length of a literal that begins with its quote.
fn literal_length(bytes: &[u8]) -> usize {
    let quote = bytes[0];
    let is_triple = bytes.len() >= 3 && bytes[1] == quote && bytes[2] == quote;
    let mut at = if is_triple { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\n' if !is_triple => return at,
            byte if byte == quote && !is_triple => return at + 1,
            byte if byte == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => at += 1,
        }
    }
    // A backslash before the last byte, or before a character of several bytes: never cut one.
    bytes.len()
}

/// Whether a byte may stand in an identifier; every byte of a non-ASCII character may.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Kind, pieces};

    fn cut(source: &str) -> Vec<(Kind, &str)> {
        pieces(source).map(|piece| (piece.kind, piece.text)).collect()
    }

    #[test]
    fn a_hash_in_a_literal_is_no_comment() {
        assert_eq!(
            cut("x = '#'  # y"),
            [(Kind::Code, "x = "), (Kind::Text, "'#'"), (Kind::Code, "  "), (Kind::Comment, "# y")]
        );
    }

    #[test]
    fn a_quote_in_a_comment_opens_no_literal() {
        assert_eq!(cut("# don't\nx"), [(Kind::Comment, "# don't"), (Kind::Code, "\nx")]);
    }

    #[test]
    fn a_prefix_belongs_to_its_literal_and_a_word_before_it_does_not() {
        assert_eq!(cut("rb'a'"), [(Kind::Text, "rb'a'")]);
        assert_eq!(cut("number'a'"), [(Kind::Code, "number"), (Kind::Text, "'a'")]);
        assert_eq!(cut("(f\"a\""), [(Kind::Code, "("), (Kind::Text, "f\"a\"")]);
    }

    #[test]
    fn an_escaped_quote_does_not_close() {
        assert_eq!(cut(r"'a\'b' c"), [(Kind::Text, r"'a\'b'"), (Kind::Code, " c")]);
        assert_eq!(cut(r#"r"\"" c"#), [(Kind::Text, r#"r"\"""#), (Kind::Code, " c")]);
    }

    #[test]
    fn a_triple_quoted_literal_spans_lines_and_holds_quotes() {
        let source = "'''a\n'b' ''c'''\nd";
        assert_eq!(cut(source), [(Kind::Text, "'''a\n'b' ''c'''"), (Kind::Code, "\nd")]);
    }

    #[test]
    fn an_open_literal_ends_with_its_line() {
        assert_eq!(cut("'abc\nd"), [(Kind::Text, "'abc"), (Kind::Code, "\nd")]);
        assert_eq!(cut("\"\"\"abc\nd"), [(Kind::Text, "\"\"\"abc\nd")]);
    }

    proptest! {
        #[test]
        fn pieces_joined_are_the_source(source in r#"[a-f'"\\#\n é]{0,60}"#) {
            let joined: String = pieces(&source).map(|piece| piece.text).collect();
            prop_assert_eq!(joined, source);
        }
    }
}
