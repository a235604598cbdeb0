//! A Pit library in Rust: counts bytes, and misbehaves on demand. `tests/library.rs` loads it.

use std::sync::atomic::{AtomicU64, Ordering};

use pit::export_pit;
use pit::library::export::{Exported, Refusal, Services};

struct Counter {
    host: Services,
    total: AtomicU64,
}

impl Exported for Counter {
    fn start(host: Services) -> Result<Self, String> {
        host.log(3, "the counter starts");
        Ok(Self { host, total: AtomicU64::new(0) })
    }

    fn call(&self, operation: &str, input: &[u8]) -> Result<Vec<u8>, Refusal> {
        match operation {
            "echo" => Ok(input.to_vec()),
            "count" => {
                let more = input.len() as u64;
                let total = self.total.fetch_add(more, Ordering::Relaxed) + more;
                self.host.log(4, &format!("{total} bytes so far"));
                Ok(total.to_string().into_bytes())
            }
            "refuse" => Err("not today".into()),
            "panic" => panic!("a bug in the library: {}", input.len()),
            _ => Err(Refusal::Unknown),
        }
    }
}

export_pit!(
    Counter,
    name: "counter",
    version: env!("CARGO_PKG_VERSION"),
    operations: ["echo", "count", "refuse", "panic"],
);
