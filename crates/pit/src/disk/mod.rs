//! The file layer of the Pit: every call by which a member opens, changes, flushes, renames or removes a file.
//!
//! Callers: the journal, the artifact store, the tracker, the pins; `tests/layout` holds that none of them goes around it.
//! Invariant: a call here is one call of the system, and where tests are compiled each may fail, be late, or be the last
//! of the process; what is shipped holds nothing of that.

mod calls;
#[cfg(test)]
pub(crate) mod faults;

pub(crate) use calls::{
    OpenAs, allocate, date, link, make_folder, open, read_exact_at, remove, remove_folder, rename,
    set_len, sync_all, sync_data, sync_folder, write_all, write_all_at,
};
