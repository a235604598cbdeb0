//! What swaps and experiments come to, and versions of extensions.

pub(crate) mod report;
pub(crate) mod trial;
pub(crate) mod versions;
