//! The Pit's members as Python calls them: conversions and the door, nothing else.
//!
//! One file for each member: an operation is a method there, its type stands in `_core.pyi`, and what guests and Melodies
//! call is its row in `orchestra_kit/src/operations/`.

mod arbitration;
mod artifact_file;
mod artifact_writer;
mod artifacts;
mod dag;
mod member;
mod member_ref;
mod pool;
mod seat;
mod stale;
mod stand_in;

pub(crate) use arbitration::{ArbitrationEngine, Grant};
pub(crate) use artifact_file::ArtifactFile;
pub(crate) use artifact_writer::ArtifactWriter;
pub(crate) use artifacts::{ArtifactStore, add};
pub(crate) use dag::DagTracker;
pub(crate) use member::member;
pub(crate) use pool::{Lease, PoolManager, PoolUpkeep};
pub(crate) use seat::MemberSeat;
pub(crate) use stale::StaleManager;
