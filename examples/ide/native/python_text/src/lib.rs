//! Python source as pieces of code, comments and string literals.
//!
//! The native example extensions `lines` and `words` look at source through it. It reads any text:
//! what does not parse is still cut into pieces, and the pieces joined are always the whole text.
//!
//! ```
//! use python_text::{Kind, pieces};
//!
//! let kinds: Vec<_> = pieces("x = 'a'  # why").map(|piece| piece.kind).collect();
//! assert_eq!(kinds, [Kind::Code, Kind::Text, Kind::Code, Kind::Comment]);
//! ```

mod piece;

pub use piece::{Kind, Piece, Pieces, pieces};
