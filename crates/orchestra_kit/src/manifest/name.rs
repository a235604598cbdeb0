//! Which words can name an extension.
//!
//! Asked wherever one is named: by its own manifest, by the grants of others, and for a file that is only found. The name
//! stands in calls (`name.operation`) and in folders of state, so that it may hold neither a dot nor a slash.

/// Whether a word can name an extension: letters, digits, `-` and `_`, beginning with a letter or digit.
pub fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphanumeric())
        && word
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_')
}
