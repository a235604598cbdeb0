//! The names of a source, the words that they are made of, and how readable they are.
//!
//! Called by the library's one operation. Invariant: keywords, literals and comments hold no names.

use std::collections::HashMap;

use python_text::{Kind, pieces};
use serde::Serialize;

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Short words that everybody reads.
const SHORT_WORDS: [&str; 40] = [
    "a", "as", "at", "by", "db", "do", "eq", "fd", "ge", "go", "gt", "hi", "i", "id", "if", "in",
    "io", "ip", "is", "it", "j", "k", "le", "lo", "lt", "me", "n", "ne", "no", "of", "ok", "on",
    "or", "os", "re", "to", "up", "x", "y", "z",
];

/// What the names of one source say.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Vocabulary {
    /// Names in all.
    names: usize,
    /// Different names.
    distinct: usize,
    /// The share of different names that can be read aloud, 0 to 1.
    readability: f64,
    /// The most frequent words in names.
    words: Vec<Frequency>,
    /// The most frequent names that cannot be read aloud.
    unreadable: Vec<Frequency>,
}

/// How often a word or a name occurs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Frequency {
    word: String,
    count: usize,
}

/// Collects the vocabulary of a source, whether it parses or not.
pub(crate) fn vocabulary(source: &str, top: usize) -> Vocabulary {
    let mut names: HashMap<&str, usize> = HashMap::new();
    for piece in pieces(source).filter(|piece| piece.kind == Kind::Code) {
        for word in piece.text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')) {
            let is_name = word.starts_with(|first: char| first.is_alphabetic() || first == '_');
            if is_name && !KEYWORDS.contains(&word) {
                *names.entry(word).or_default() += 1;
            }
        }
    }
    let mut words: HashMap<String, usize> = HashMap::new();
    let mut unreadable: HashMap<String, usize> = HashMap::new();
    for (name, count) in &names {
        let parts = words_of(name);
        if !parts.iter().all(|word| is_readable(word)) {
            unreadable.insert((*name).to_owned(), *count);
        }
        for word in parts {
            *words.entry(word).or_default() += count;
        }
    }
    let distinct = names.len();
    let readable = distinct - unreadable.len();
    Vocabulary {
        names: names.values().sum(),
        distinct,
        readability: if distinct == 0 { 1.0 } else { readable as f64 / distinct as f64 },
        words: most(words, top),
        unreadable: most(unreadable, top),
    }
}

/// Cuts a name at underscores, digits and changes of case; `HTTPServer` is `http` and `server`.
fn words_of(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(index + 1);
        let begins = letter.is_uppercase()
            && (before.is_some_and(char::is_lowercase)
                || before.is_some_and(char::is_uppercase)
                    && after.is_some_and(|after| after.is_lowercase()));
        if begins || !letter.is_alphabetic() {
            words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
        }
        if letter.is_alphabetic() {
            word.extend(letter.to_lowercase());
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// Whether a word can be read aloud: long enough with a vowel, or one that everybody knows.
fn is_readable(word: &str) -> bool {
    let is_ascii = word.is_ascii();
    let has_vowel = word.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    SHORT_WORDS.contains(&word) || !is_ascii || (word.len() >= 3 && has_vowel)
}

/// The largest counts, in alphabetical order where they are equal.
fn most(counts: HashMap<String, usize>, top: usize) -> Vec<Frequency> {
    let mut found: Vec<Frequency> =
        counts.into_iter().map(|(word, count)| Frequency { word, count }).collect();
    found.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.word.cmp(&other.word)));
    found.truncate(top);
    found
}

#[cfg(test)]
mod tests {
    use super::{is_readable, vocabulary, words_of};

    #[test]
    fn names_are_cut_into_words() {
        assert_eq!(words_of("read_file2"), ["read", "file"]);
        assert_eq!(words_of("HTTPServer"), ["http", "server"]);
        assert_eq!(words_of("camelCaseName"), ["camel", "case", "name"]);
        assert_eq!(words_of("__init__"), ["init"]);
        assert!(words_of("_").is_empty());
    }

    #[test]
    fn keywords_literals_and_comments_hold_no_names() {
        let found = vocabulary("for item in items: print('secret', f\"x\")  # hidden\n", 10);
        let words: Vec<_> = found.words.iter().map(|entry| entry.word.as_str()).collect();
        assert_eq!(words, ["item", "items", "print"]);
        assert_eq!((found.names, found.distinct), (3, 3));
    }

    #[test]
    fn unreadable_names_lower_the_readability() {
        let found = vocabulary("number = qtx + qtx\nnumber = strng\n", 10);
        assert_eq!(found.unreadable[0].word, "qtx");
        assert_eq!(found.unreadable[0].count, 2);
        assert!((found.readability - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_are_no_names() {
        assert_eq!(vocabulary("0x1f + 1e5 + 3j", 10).names, 0);
    }

    #[test]
    fn nothing_is_readable() {
        assert!((vocabulary("", 10).readability - 1.0).abs() < f64::EPSILON);
        assert!(is_readable("i") && !is_readable("bcd"));
    }
}
