//! Safe mode: a boot that goes on without what was starting when earlier ones of the same state failed.
//!
//! `left_out` is what a system opens with; it asks `choice` what `boot_record` tells of earlier boots, and `watch` writes down
//! what starts in this one, so that the next can choose. Invariants: only what the boot can go on without is ever left out;
//! what has changed since it failed is tried again; user data is not touched, and no record costs a boot.

mod boot_record;
mod choice;
mod left_out;
mod watch;

pub(super) use boot_record::BootRecord;
pub(super) use left_out::{SafeBoot, open};
pub(super) use watch::Watch;
