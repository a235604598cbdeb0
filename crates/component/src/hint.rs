//! What to do about an error, kept out of its message.

use crate::Code;

/// An error that has a stable word and knows what its reader can do.
pub trait Hint: std::error::Error {
    /// The stable word of this error.
    fn code(&self) -> Code;

    /// What to do, most useful first.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
}
