//! The guest's side of a lane, for extensions written in Rust.
//!
//! ```no_run
//! use symphony_guest::{Context, Guest, GuestError, Value};
//!
//! fn count(inputs: Value, _context: &Context<'_>) -> Result<Value, GuestError> {
//!     let text = inputs.get("text").and_then(Value::as_text).ok_or("`text` is missing")?;
//!     Ok(Value::from(i64::try_from(text.lines().count()).unwrap_or(i64::MAX)))
//! }
//!
//! fn main() -> Result<(), GuestError> {
//!     Guest::new("counter").operation("count", count).run()
//! }
//! ```
//!
//! The program is started by Symphony (`command = ["./counter"]` in its `Symphony.toml`), which hands it its lane.

mod context;
mod error;
mod guest;
mod turns;

pub use context::Context;
pub use error::GuestError;
pub use guest::Guest;
pub use ipc::{Input, Operation, Value};
