//! What happened in a boot, read off its events: times, critical path, savings, budgets.

pub(crate) mod baseline;
pub(crate) mod boot_report;
pub(crate) mod budgets;
pub(crate) mod children;
pub(crate) mod critical_path;
pub(crate) mod grants;
mod json_words;
pub(crate) mod memory;
pub(crate) mod outside;
pub(crate) mod overhead;
pub(crate) mod savings;
pub(crate) mod spans;
pub(crate) mod swapped;
pub(crate) mod timeline;
pub(crate) mod trial;
pub(crate) mod waterfall;
