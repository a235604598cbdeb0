//! Patterns over artifact names: `*` for any run of characters, `/` too, `?` for one; everything else stands for itself.
//!
//! Called by the rules. `fast-glob` does the matching. A name is no path and its letters are no bytes, so what that crate sets
//! apart (`/`, classes, braces, `!`, a backslash) is made plain before, and letters beyond ASCII become one byte each.

use fast_glob::glob_match;

/// Stands for `/`, at which the crate's stars would end. No text holds this byte.
const SLASH: u8 = 0xFE;
/// Stands for each letter beyond ASCII that the pattern does not name.
const OTHER: u8 = 0xFF;
/// So many letters beyond ASCII have a byte of their own, from 0x80 on.
const LETTERS: usize = (SLASH - 0x80) as usize;

/// A pattern, ready to be held against names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    prepared: Vec<u8>,
    /// The letters beyond ASCII that it names, sorted.
    letters: Vec<char>,
}

impl NamePattern {
    /// The pattern of that text. Every text is one.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let mut letters: Vec<char> = text.chars().filter(|letter| !letter.is_ascii()).collect();
        letters.sort_unstable();
        letters.dedup();
        let mut prepared = Vec::with_capacity(text.len());
        let mut after_star = false;
        for letter in text.chars() {
            // Two stars mean what one means, and the crate takes them for folders.
            if letter == '*' && after_star {
                continue;
            }
            after_star = letter == '*';
            if matches!(letter, '[' | ']' | '{' | '}' | '!' | '\\') {
                prepared.push(b'\\');
            }
            prepared.push(byte(&letters, letter));
        }
        Self { text, prepared, letters }
    }

    /// Whether the letters of a name can be told apart as far as the pattern does.
    pub(super) fn is_lawful(&self) -> bool {
        self.letters.len() <= LETTERS
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a name fits.
    pub fn fits(&self, name: &str) -> bool {
        if name.is_ascii() && !name.contains('/') {
            return glob_match(&self.prepared, name);
        }
        let name: Vec<u8> = name.chars().map(|letter| byte(&self.letters, letter)).collect();
        glob_match(&self.prepared, name)
    }
}

/// The byte that stands for a letter.
fn byte(letters: &[char], letter: char) -> u8 {
    match u8::try_from(letter) {
        Ok(b'/') => SLASH,
        Ok(ascii) if ascii.is_ascii() => ascii,
        _ => match letters.binary_search(&letter).map(u8::try_from) {
            Ok(Ok(place)) if usize::from(place) < LETTERS => 0x80 + place,
            _ => OTHER,
        },
    }
}

impl From<&str> for NamePattern {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::NamePattern;

    fn fits(pattern: &str, name: &str) -> bool {
        NamePattern::new(pattern).fits(name)
    }

    #[test]
    fn stars_and_question_marks_fit_what_they_should() {
        for (pattern, name) in [
            ("", ""),
            ("*", ""),
            ("*", "a/b"),
            ("a*c", "abcbc"),
            ("a*/c", "a/b/c"),
            ("?", "/"),
            ("?", "é"),
            ("?é*", "aéb"),
            ("**x", "x"),
            ("a/**", "a/b/c"),
            ("a*b*c", "aXbYbZc"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "a"),
            ("?", ""),
            ("a*c", "ab"),
            ("a", "ab"),
            ("*.py", "a.pyc"),
            ("a?", "a"),
            ("*a*b", "ba"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn whatever_else_is_special_to_globs_stands_for_itself() {
        for text in ["[ab]", "{a,b}", "!a", "\\*", "a\\", "[", "}", "[!a]"] {
            let same = text.replace('*', "x");
            assert!(fits(text, &same), "{text} {same}");
        }
        for (pattern, name) in [("[ab]", "a"), ("{a,b}", "a"), ("!a", "b")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    /// The definition itself.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|taken| naive(rest, &name[taken..])),
            Some((wanted, rest)) => name.split_first().is_some_and(|(found, name)| {
                (*wanted == '?' || wanted == found) && naive(rest, name)
            }),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_fits_what_the_definition_says(pattern in "[*?ab/.é☃!\\[\\]{},\\\\-]{0,9}", name in "[ab/.éü☃!\\[\\]{},\\\\-]{0,9}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(fits(&pattern, &name), naive(&letters(&pattern), &letters(&name)));
        }
    }
}
