//! Steps of Python components on Python's own threads, as those threads and a swap see them.

pub(crate) mod live;
pub(crate) mod swap;
pub(crate) mod threads;
mod told_health;
