//! The five named priorities. Any other `i64` is lawful too; larger runs first.

/// Must run before everything else.
pub const CRITICAL: i64 = 1000;
/// Somebody waits for it.
pub const HIGH: i64 = 100;
/// What is said when nothing is said.
pub const NORMAL: i64 = 0;
/// May wait.
pub const LOW: i64 = -100;
/// Only when nothing else wants to run.
pub const BACKGROUND: i64 = -1000;
