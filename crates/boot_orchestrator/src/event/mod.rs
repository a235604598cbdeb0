//! The spine: what happens in a boot, as it happens.

pub(crate) mod boot_event;
pub(crate) mod text;
