//! Where injected objects are and who refers to them; what swaps and experiments come to, whatever they are of.

pub(crate) mod drain;
pub(crate) mod holder;
pub(crate) mod holders;
mod names;
pub(crate) mod report;
pub(crate) mod sites;
pub(crate) mod trial;
