//! What a running system is used through: bus, kit, extensions, Melodies, and a guest's own side.

pub(crate) mod bus;
pub(crate) mod call_result;
pub(crate) mod completions;
pub(crate) mod extension;
pub(crate) mod figures;
pub(crate) mod file_watch;
pub(crate) mod guest;
pub(crate) mod in_process;
pub(crate) mod kit;
pub(crate) mod melody;
pub(crate) mod policy;
pub(crate) mod sources;
pub(crate) mod stream;
pub(crate) mod supervisor;
pub(crate) mod trust;
pub(crate) mod versions;
