//! The artifact store: content-addressed blobs with names, versions, tags and lineage.
//!
//! Journal first. A put writes the blob (an append to a segment, or a file of its own from 64 KiB on), then one record
//! to the journal, and is acknowledged. The index is derived: changes wait in memory until a background thread brings
//! them to redb in one batch; what it missed is replayed from the journal at the next open.

mod cache;
mod changes;
mod commit;
mod damage;
mod database;
mod files;
mod flusher;
mod id;
mod index;
mod maintenance;
mod metadata;
mod reader;
mod rebuild;
mod record;
mod replay;
mod rows;
mod segments;
mod store;
mod touches;
mod witness;
mod writer;

pub use id::ArtifactId;
pub use metadata::{Metadata, PutOptions, StoreStats, VerifyReport};
pub use reader::ArtifactReader;
pub(crate) use store::now;
pub use store::{ArtifactStore, LARGE_BLOB};
pub use writer::ArtifactWriter;
