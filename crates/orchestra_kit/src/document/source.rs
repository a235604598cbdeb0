//! The text of one file, and the way from an offset in it to a line and a column.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use component::{Code, Diagnostic, Location};
use sha2::{Digest as _, Sha256};

/// The name of the file in a folder that the folder stands for.
pub const FILE_NAME: &str = "Symphony.toml";

/// No file that a person writes by hand is larger; a larger one is a mistake (a log, a device, a model).
const LARGEST: u64 = 16 * 1024 * 1024;

/// A mark of the byte order, with which some editors begin a file.
const MARK: char = '\u{feff}';

/// A text with the name of the file that it came from.
#[derive(Debug, Clone)]
pub struct Source {
    file: Arc<str>,
    text: String,
    /// Whether the file began with a mark of its byte order, which the text does not hold.
    marked: bool,
    lines: Vec<usize>,
}

impl Source {
    /// A text that is already in memory; `file` names it in messages.
    pub fn from_text(file: impl Into<Arc<str>>, text: impl Into<String>) -> Self {
        let text = text.into();
        let unmarked = text.strip_prefix(MARK).map(str::to_owned);
        let marked = unmarked.is_some();
        let text = unmarked.unwrap_or(text);
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(offset, _)| offset + 1))
            .collect();
        Self { file: file.into(), text, marked, lines }
    }

    /// Reads a file. `code` is the word under which its faults are told.
    ///
    /// # Errors
    /// A diagnostic when it does not exist, is a folder or no regular file, is too large, is not UTF-8, or cannot be
    /// read.
    pub fn read(path: &Path, code: Code) -> Result<Self, Diagnostic> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let file: Arc<str> = path.to_string_lossy().into();
        let fault = |message: String| {
            Diagnostic::error(code, message).at(Location::new(Arc::clone(&file), 1, 1))
        };
        let unreadable = |error: &std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => fault(format!("`{file}` does not exist"))
                .hint("check the path; it is relative to the working directory"),
            _ => fault(format!("`{file}` cannot be read: {error}")),
        };
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&error))?;
        if metadata.is_dir() {
            let inside = path.join(FILE_NAME);
            let fault = fault(format!("`{file}` is a folder, not a file"));
            return Err(if inside.is_file() {
                fault.hint(format!("name the file in it: `{}`", inside.display()))
            } else {
                fault.hint("name a file")
            });
        }
        if !metadata.is_file() {
            return Err(fault(format!("`{file}` is not a regular file")));
        }
        if metadata.len() > LARGEST {
            return Err(
                fault(format!("`{file}` is larger than 16 MiB")).hint("is it the right file?")
            );
        }
        let bytes = std::fs::read(&path).map_err(|error| unreadable(&error))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::from_text(file, text)),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let byte = error.as_bytes()[good];
                let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
                let source = Self::from_text(Arc::clone(&file), before);
                Err(Diagnostic::error(code, format!("`{file}` is not UTF-8: byte 0x{byte:02x}"))
                    .at(source.location(source.text.len()))
                    .hint("save the file as UTF-8"))
            }
        }
    }

    /// The file's name as messages show it.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The SHA-256 of the bytes that were read, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        if self.marked {
            hash.update(MARK.encode_utf8(&mut [0; 4]).as_bytes());
        }
        hash.update(self.text.as_bytes());
        hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The place of a byte offset; columns count characters.
    pub fn location(&self, offset: usize) -> Location {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset) - 1;
        let column = self.text.get(self.lines[line]..offset).map_or(0, |part| part.chars().count());
        Location::new(
            Arc::clone(&self.file),
            u32::try_from(line + 1).unwrap_or(u32::MAX),
            u32::try_from(column + 1).unwrap_or(u32::MAX),
        )
    }

    /// The place where the text begins.
    pub fn start(&self) -> Location {
        self.location(0)
    }
}
