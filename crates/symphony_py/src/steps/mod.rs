//! Steps of Python components on Python's own threads.

pub(crate) mod keeper;
pub(crate) mod live;
pub(crate) mod python_component;
pub(crate) mod queue;
pub(crate) mod swap;
pub(crate) mod sync;
pub(crate) mod threads;
