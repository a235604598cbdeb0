//! When an extension is started, in the words of its manifest.
//!
//! Read into `extension.rs`; the deadline of a start in `limits.rs` depends on it, because somebody waits for a lazy one.

/// When an extension is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// At its first call, or at an event in `on`.
    #[default]
    Lazy,
    /// At boot.
    Eager,
}

impl Activation {
    /// The word in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lazy => "lazy",
            Self::Eager => "eager",
        }
    }
}
