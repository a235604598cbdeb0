//! Where a person wrote the thing.

use std::sync::Arc;

/// A place in a file. Lines and columns count from 1; one of 0 is not known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The file's path, absolute where it was read from disk.
    pub file: Arc<str>,
    /// The line, or 0.
    pub line: u32,
    /// The column in characters, or 0.
    pub column: u32,
}

impl Location {
    /// A place in a file.
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self { file: file.into(), line, column }
    }

    /// `file:line`, the file relative to `directory` where it lies inside it.
    pub fn relative_to(&self, directory: Option<&str>) -> String {
        let file = directory
            .and_then(|directory| self.file.strip_prefix(directory.trim_end_matches('/')))
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(&self.file);
        if self.line > 0 { format!("{file}:{}", self.line) } else { file.to_owned() }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.file, self.line)?;
        if self.column > 0 { write!(out, ":{}", self.column) } else { Ok(()) }
    }
}
