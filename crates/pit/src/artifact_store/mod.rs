//! The artifact store: content-addressed blobs with names, versions, tags and lineage.
//!
//! Journal first. A put writes the blob (an append to a segment, a file of its own from 64 KiB on, or from 1 MiB on those
//! of its chunks that are not stored yet), then one record to the journal, and is acknowledged. The index is derived: changes wait in memory until a background thread brings
//! them to redb in one batch; what it missed is replayed from the journal at the next open.

mod cache;
mod changes;
mod chunk_commit;
mod chunk_move;
mod chunk_reader;
mod chunk_writer;
mod chunks;
mod collect;
mod commit;
mod damage;
mod database;
mod deletions;
mod files;
mod flusher;
mod holds;
mod id;
mod index;
mod lists;
mod maintenance;
mod metadata;
mod overlay;
mod reader;
mod rebuild;
mod record;
mod recovery;
mod replay;
mod reserve;
mod rows;
mod segments;
mod snapshot;
mod store;
mod touches;
mod witness;
mod writer;

pub use chunks::CHUNKED;
pub use id::ArtifactId;
pub use metadata::{Collected, Metadata, PutOptions, StoreStats, VerifyReport};
pub use reader::ArtifactReader;
pub(crate) use store::now;
pub use store::{ArtifactStore, LARGE_BLOB};
pub use writer::ArtifactWriter;
