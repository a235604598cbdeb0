//! Criterion benchmarks live in this member's `benches/` folder; the library is empty.
