//! Paths as URIs, and places in a text in the units that a server counts.
//!
//! Invariants: a path that is made into a URI and back is the same path; a place beyond a line's end is its end.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// The URI of an absolute path.
pub(crate) fn uri_of(path: &str) -> String {
    let mut uri = "file://".to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // A text takes whatever it is given.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// The path of a `file:` URI.
pub(crate) fn path_of(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("file://").or_else(|| uri.strip_prefix("file:"))?;
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let mut bytes = Vec::with_capacity(rest.len());
    let mut left = rest.as_bytes();
    while let Some((byte, tail)) = left.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits.filter(|_| *byte == b'%');
        if let Some(value) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(value);
            left = &tail[2..];
        } else {
            bytes.push(*byte);
            left = tail;
        }
    }
    String::from_utf8(bytes).ok().filter(|path| path.starts_with('/'))
}

/// The absolute path of what a caller names, without `.` and `..`.
pub(crate) fn absolute(path: &str, workspace: &str) -> String {
    let whole = Path::new(workspace).join(path);
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain.to_string_lossy().into_owned()
}

/// What a server counts in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Units {
    /// Code points.
    Utf32,
    /// Bytes.
    Utf8,
    /// Halves of UTF-16, which every server knows.
    #[default]
    Utf16,
}

impl Units {
    /// By its word in the protocol.
    pub(crate) fn named(word: &str) -> Self {
        match word {
            "utf-32" => Self::Utf32,
            "utf-8" => Self::Utf8,
            _ => Self::Utf16,
        }
    }

    const fn width(self, letter: char) -> usize {
        match self {
            Self::Utf32 => 1,
            Self::Utf8 => letter.len_utf8(),
            Self::Utf16 => letter.len_utf16(),
        }
    }

    /// So many code points of a line, in these units.
    pub(crate) fn of_points(self, line: &str, points: usize) -> usize {
        line.chars().take(points).map(|letter| self.width(letter)).sum()
    }

    /// So many of these units of a line, in code points; what stands inside one is at its beginning.
    pub(crate) fn to_points(self, line: &str, units: usize) -> usize {
        let mut passed = 0;
        for (points, letter) in line.chars().enumerate() {
            passed += self.width(letter);
            if passed > units {
                return points;
            }
        }
        line.chars().count()
    }
}

/// A line of a text, as LSP counts lines, without its end.
pub(crate) fn line_of(text: &str, line: usize) -> &str {
    let mut rest = text;
    for _ in 0..line {
        match rest.find(['\n', '\r']) {
            Some(at) => {
                let width = if rest[at..].starts_with("\r\n") { 2 } else { 1 };
                rest = &rest[at + width..];
            }
            None => return "",
        }
    }
    &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::{Units, absolute, line_of, path_of, uri_of};

    #[test]
    fn a_path_comes_back_from_its_uri() {
        for path in ["/a/b.py", "/a b/ü#?%41.py", "/😀"] {
            assert_eq!(path_of(&uri_of(path)).as_deref(), Some(path));
        }
        assert_eq!(path_of("file:///c%3A/x%zz").as_deref(), Some("/c:/x%zz"));
        assert_eq!(path_of("untitled:1"), None);
        assert_eq!(absolute("../b/./c", "/w/a"), "/w/b/c");
        assert_eq!(absolute("/x", "/w"), "/x");
    }

    #[test]
    fn places_are_counted_in_the_servers_units() {
        let line = "aé😀b";
        for (units, counted) in [
            (Units::Utf32, [0, 1, 2, 3, 4]),
            (Units::Utf8, [0, 1, 3, 7, 8]),
            (Units::Utf16, [0, 1, 2, 4, 5]),
        ] {
            for (points, wanted) in counted.into_iter().enumerate() {
                assert_eq!(units.of_points(line, points), wanted);
                assert_eq!(units.to_points(line, wanted), points);
            }
            assert_eq!(units.to_points(line, 99), 4);
        }
        assert_eq!(Units::Utf16.to_points(line, 3), 2);
        assert_eq!(line_of("a\r\nb\rc\n\nd", 2), "c");
        assert_eq!(line_of("a\nb", 7), "");
    }
}
