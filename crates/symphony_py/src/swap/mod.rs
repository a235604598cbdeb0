//! What swaps and experiments come to, whatever they are of.

pub(crate) mod report;
pub(crate) mod trial;
