//! A Pit library in Rust whose start panics. `tests/library_matrix.rs` loads it.

use std::panic::panic_any;

use pit::export_pit;
use pit::library::export::{Exported, Refusal, Services};

/// A panic's payload whose own end panics as well.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload of a panic panics");
    }
}

struct Panicking;

impl Exported for Panicking {
    fn start(_host: Services) -> Result<Self, String> {
        panic_any(Bomb)
    }

    fn call(&self, _operation: &str, _input: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::Unknown)
    }
}

export_pit!(Panicking, name: "panicking-start", version: "1", operations: []);
