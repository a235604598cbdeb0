//! A Pit library in Rust in which everything that can panic does. `tests/library_matrix.rs` loads it.

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
        Ok(Self)
    }

    fn call(&self, operation: &str, input: &[u8]) -> Result<Vec<u8>, Refusal> {
        match operation {
            "panic" => panic!("{} bytes", input.len()),
            "bomb" => panic_any(Bomb),
            "echo" => Ok(input.to_vec()),
            _ => Err(Refusal::Unknown),
        }
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        panic!("the end of a library panics");
    }
}

export_pit!(Panicking, name: "panicking", version: "1", operations: ["panic", "bomb", "echo"]);
