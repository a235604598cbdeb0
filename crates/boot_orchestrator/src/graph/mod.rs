//! Descriptors become a plan, or every fault of their graph at once.

pub(crate) mod annotation;
pub(crate) mod bind;
pub(crate) mod constructor;
pub(crate) mod contract;
pub(crate) mod cycles;
pub(crate) mod edges;
pub(crate) mod error;
pub(crate) mod faults;
pub(crate) mod format;
pub(crate) mod left_out;
pub(crate) mod newcomer;
pub(crate) mod plan;
pub(crate) mod registry;
pub(crate) mod remedy;
pub(crate) mod signature;
pub(crate) mod specification;
