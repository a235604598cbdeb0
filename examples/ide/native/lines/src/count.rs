//! What the lines of a source are: code, text, comment or blank, and how they are indented.
//!
//! Called by the extension's one operation. Invariant: every line is counted as exactly one kind.

use python_text::{Kind, pieces};

/// The lines of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LineCount {
    /// All lines.
    pub(crate) total: usize,
    /// Lines with code.
    pub(crate) code: usize,
    /// Lines with nothing but a string literal: docstrings and long texts.
    pub(crate) text: usize,
    /// Lines with nothing but a comment.
    pub(crate) comment: usize,
    /// Lines with nothing.
    pub(crate) blank: usize,
    /// The longest line's number and its length in characters.
    pub(crate) longest: (usize, usize),
    /// Lines that end with white space.
    pub(crate) trailing: usize,
    /// How the lines of code are indented.
    pub(crate) indentation: Indentation,
}

/// How lines of code are indented.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Indentation {
    /// Lines indented with spaces.
    pub(crate) spaces: usize,
    /// Lines indented with tabs.
    pub(crate) tabs: usize,
    /// Lines indented with both.
    pub(crate) mixed: usize,
    /// The smallest step of spaces from one line of code to the next; 0 where there is none.
    pub(crate) unit: usize,
}

/// Counts the lines of a source, whether it parses or not.
pub(crate) fn count(source: &str) -> LineCount {
    let kinds = kinds_of_lines(source);
    let mut counted = LineCount::default();
    let mut depth = 0;
    for (index, line) in source.lines().enumerate() {
        counted.total += 1;
        let length = line.chars().count();
        if length > counted.longest.1 {
            counted.longest = (index + 1, length);
        }
        counted.trailing += usize::from(line.ends_with([' ', '\t']));
        match kinds.get(index).copied().flatten() {
            None => counted.blank += 1,
            Some(Kind::Comment) => counted.comment += 1,
            Some(Kind::Text) => counted.text += 1,
            Some(Kind::Code) => {
                counted.code += 1;
                depth = counted.indentation.add(line, depth);
            }
        }
    }
    counted
}

/// What each line is; none where it is blank.
fn kinds_of_lines(source: &str) -> Vec<Option<Kind>> {
    let mut kinds = vec![None];
    for piece in pieces(source) {
        let mut lines = piece.text.split('\n');
        mark(&mut kinds, piece.kind, lines.next().unwrap_or_default());
        for line in lines {
            kinds.push(None);
            mark(&mut kinds, piece.kind, line);
        }
    }
    kinds
}

/// Takes a part of the last line into account: code outweighs text, text outweighs a comment.
fn mark(kinds: &mut [Option<Kind>], kind: Kind, part: &str) {
    let Some(last) = kinds.last_mut() else { return };
    *last = match (*last, kind) {
        (known, Kind::Code) if part.trim().is_empty() => known,
        (_, Kind::Code) | (Some(Kind::Code), _) => Some(Kind::Code),
        (_, Kind::Text) | (Some(Kind::Text), _) => Some(Kind::Text),
        (_, Kind::Comment) => Some(Kind::Comment),
    };
}

impl Indentation {
    /// Takes a line of code into account; returns its depth in spaces.
    fn add(&mut self, line: &str, depth: usize) -> usize {
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        match (indent.contains(' '), indent.contains('\t')) {
            (true, true) => self.mixed += 1,
            (true, false) => self.spaces += 1,
            (false, true) => self.tabs += 1,
            (false, false) => {}
        }
        let spaces = indent.bytes().filter(|byte| *byte == b' ').count();
        let step = spaces.saturating_sub(depth);
        // A step of one space is an alignment, hardly an indentation.
        if step > 1 && (self.unit == 0 || step < self.unit) {
            self.unit = step;
        }
        spaces
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::count;

    #[test]
    fn each_line_has_one_kind() {
        let source = "\"\"\"Says.\n\nMore.\n\"\"\"\n# why\n\nx = 1  # how\ny = '''a\nb'''\n";
        let counted = count(source);
        assert_eq!(counted.total, 9);
        // The last line of the assigned text holds nothing but the literal.
        assert_eq!((counted.code, counted.text), (2, 5));
        assert_eq!((counted.comment, counted.blank), (1, 1));
    }

    #[test]
    fn the_longest_line_is_measured_in_characters() {
        assert_eq!(count("ab\nééé\n").longest, (2, 3));
    }

    #[test]
    fn indentation_is_that_of_code() {
        let counted = count("if x:\n  y\n  if z:\n    w\n\tt\n \tm\n'''\n      text'''\n");
        assert_eq!(counted.indentation.unit, 2);
        assert_eq!(counted.indentation.spaces, 3);
        assert_eq!((counted.indentation.tabs, counted.indentation.mixed), (1, 1));
    }

    #[test]
    fn nothing_counts_as_nothing() {
        assert_eq!(count(""), super::LineCount::default());
    }

    #[test]
    fn trailing_white_space_is_counted() {
        assert_eq!(count("a \nb\t\nc\n").trailing, 2);
    }

    proptest! {
        #[test]
        fn the_kinds_add_up(source in r#"[a-c'"\\#\n\r \té]{0,60}"#) {
            let counted = count(&source);
            let sum = counted.code + counted.text + counted.comment + counted.blank;
            prop_assert_eq!(sum, counted.total);
            prop_assert_eq!(counted.total, source.lines().count());
        }
    }
}
