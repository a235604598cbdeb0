//! The globs of `[system].extensions`: folders that hold a manifest.

use std::path::{Path, PathBuf};

use fast_glob::{ErrorKind, glob_match, validate};

use crate::manifest::FILE_NAME;

/// How deep `**` goes; deeper trees are dependencies and build output, not extensions.
const DEEPEST: usize = 8;

/// The manifests in the folders that `pattern` matches, sorted. `base` is what a relative pattern starts from.
///
/// # Errors
/// Why the pattern is no glob.
pub fn find_manifests(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let mut parts = Vec::new();
    for part in Path::new(pattern).components() {
        let text = part.as_os_str().to_string_lossy().into_owned();
        parts.push(match text.as_str() {
            "**" => Part::Deep,
            "*" => Part::Every,
            glob if is_glob(glob) => Part::Glob(checked(glob)?),
            _ => Part::Plain(text),
        });
    }
    let mut found = Vec::new();
    walk(base, &parts, 0, &mut found);
    found.sort();
    found.dedup();
    Ok(found)
}

/// Whether a pattern can match more than one folder.
pub(crate) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

/// One part of a pattern.
enum Part {
    Plain(String),
    /// `*`.
    Every,
    /// `**`.
    Deep,
    Glob(String),
}

fn checked(text: &str) -> Result<String, String> {
    // To the matcher a `!` in front turns the whole around; in the name of a folder it is a letter.
    let text = if text.starts_with('!') { format!("\\{text}") } else { text.to_owned() };
    validate(&text).map_err(|error| why(error.kind).to_owned())?;
    Ok(text)
}

/// Without the place that the matcher tells: it counts in one part of the pattern.
const fn why(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnclosedBracket => "unclosed character class; missing ']'",
        ErrorKind::UnclosedBrace => "unclosed alternate group; missing '}'",
        ErrorKind::TrailingBackslash => "dangling '\\'",
        ErrorKind::BraceNestingTooDeep => "alternate groups are nested too deep",
        ErrorKind::TooManyBraceGroups => "too many alternate groups",
        _ => "the matcher refuses it",
    }
}

fn walk(folder: &Path, parts: &[Part], depth: usize, found: &mut Vec<PathBuf>) {
    match parts {
        [] => {
            let manifest = folder.join(FILE_NAME);
            if manifest.is_file() {
                found.push(manifest.components().collect());
            }
        }
        [Part::Plain(name), rest @ ..] => walk(&folder.join(name), rest, depth, found),
        [Part::Every, rest @ ..] => {
            for inside in folders(folder, "*") {
                walk(&inside, rest, depth, found);
            }
        }
        [Part::Deep, rest @ ..] => {
            walk(folder, rest, depth, found);
            if depth < DEEPEST {
                for inside in folders(folder, "*") {
                    walk(&inside, parts, depth + 1, found);
                }
            }
        }
        [Part::Glob(text), rest @ ..] => {
            for inside in folders(folder, text) {
                let name = inside.file_name().map(std::ffi::OsStr::as_encoded_bytes);
                if name.is_some_and(|name| glob_match(text, name)) {
                    walk(&inside, rest, depth, found);
                }
            }
        }
    }
}

/// The folders inside; hidden ones only for a pattern that says so itself.
fn folders(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            pattern.starts_with('.') || !entry.file_name().as_encoded_bytes().starts_with(b".")
        })
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}
