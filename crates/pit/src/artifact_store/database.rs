//! The redb file beneath the index, opened without a lock of its own.
//!
//! The state folder's lock is the root's alone. redb's own lock would be inherited by a forked child of the root and
//! keep the next boot out for as long as that child lives.

use std::fs::{self, File};
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{
    Builder, Database, ReadOnlyTable, ReadableDatabase, StorageBackend, TableDefinition,
    WriteTransaction,
};

use super::overlay::Overlay;
use super::record::MEMBER;
use crate::disk::{self, OpenAs};
use crate::{PitError, PitResult};

/// The rows that a lookup reads; it sees the state of one commit.
pub(super) type Snapshot = ReadOnlyTable<&'static [u8], &'static [u8]>;

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
const CACHE_BYTES: usize = 8 << 20;
/// Up to this size the checksum of every page is looked at before the first read, about 2 ms a MiB; of a larger one while
/// it is read.
pub(super) const CHECKED_BYTES: u64 = if cfg!(test) { 256 << 10 } else { 32 << 20 };

/// Opens the database, with a look at all of its checksums or without; none where there is no file, or one that is
/// damaged (it is removed, the journal has it all).
pub(super) fn open(path: &Path, checked: bool) -> PitResult<Option<(Database, Snapshot)>> {
    let file = match disk::open(path, OpenAs::Write) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PitError::io("open the index", path)(error)),
    };
    let opened = guarded(|| {
        let database = build(file, checked)?;
        Ok((snapshot(&database)?, database))
    });
    match opened {
        Ok((snapshot, database)) => Ok(Some((database, snapshot))),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the index is damaged and is rebuilt");
            remove(path)?;
            Ok(None)
        }
    }
}

/// Looks at all checksums of a database that is in use and that nobody writes meanwhile.
pub(super) fn check_in_use(path: &Path, ending: &Arc<AtomicBool>) -> PitResult<()> {
    let opening = || PitError::io("open the index", path);
    let file = disk::open(path, OpenAs::Read).map_err(opening())?;
    let overlay = Overlay::new(file, Arc::clone(ending)).map_err(opening())?;
    let looked = guarded(|| {
        drop(snapshot(&builder(true).create_with_backend(overlay)?)?);
        Ok(())
    });
    match looked {
        Err(_) if ending.load(Ordering::Acquire) => Err(PitError::Stopped { member: MEMBER }),
        looked => looked.map_err(|error| failed(path, error)),
    }
}

/// How many bytes its file has.
pub(super) fn length(path: &Path) -> PitResult<u64> {
    Ok(fs::metadata(path).map_err(PitError::io("look at the index", path))?.len())
}

pub(super) fn create(path: &Path) -> PitResult<Database> {
    remove(path)?;
    let file = disk::open(path, OpenAs::New).map_err(PitError::io("create the index", path))?;
    guarded(|| build(file, false)).map_err(|error| failed(path, error))
}

pub(super) fn remove(path: &Path) -> PitResult<()> {
    match disk::remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PitError::io("remove the index", path)(error))
        }
        _ => Ok(()),
    }
}

/// Writes all `rows` (none: the row goes) in one durable transaction.
pub(super) fn write<'a>(
    database: &Database,
    rows: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> Result<Snapshot, redb::Error> {
    guarded(|| write_unguarded(database, rows))
}

/// Runs what redb does. It panics on some damaged files, and nobody's call may end by that.
fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    // Whatever is half done inside is dropped with the database: an index that failed is not used again.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(redb::Error::Corrupted("redb panicked".to_owned())))
}

/// Reads one row.
pub(super) fn get(rows: &Snapshot, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
    guarded(|| Ok(rows.get(key)?.map(|value| value.value().to_vec())))
}

/// The next row of a range, as its iterator gives it.
pub(super) fn step<T>(
    rows: &mut impl Iterator<Item = Result<T, redb::StorageError>>,
) -> Result<Option<T>, redb::Error> {
    guarded(|| Ok(rows.next().transpose()?))
}

/// Lets go of a database that may be damaged.
pub(super) fn put_away(base: Option<(Arc<Database>, Snapshot)>) {
    if catch_unwind(AssertUnwindSafe(|| drop(base))).is_err() {
        tracing::warn!("redb panicked when the index was closed");
    }
}

fn write_unguarded<'a>(
    database: &Database,
    rows: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> Result<Snapshot, redb::Error> {
    // Not dropped by a panic: its rollback would panic a second time, which ends the process.
    let mut transaction = ManuallyDrop::new(database.begin_write()?);
    let filled = fill(&mut transaction, rows);
    let transaction = ManuallyDrop::into_inner(transaction);
    filled?;
    transaction.commit()?;
    snapshot(database)
}

fn fill<'a>(
    transaction: &mut WriteTransaction,
    rows: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> Result<(), redb::Error> {
    // An index that was not closed opens at once, for a little more work here, in the background.
    transaction.set_quick_repair(true);
    let mut table = transaction.open_table(ROWS)?;
    for (key, value) in rows {
        match value {
            Some(value) => drop(table.insert(key, value)?),
            None => drop(table.remove(key)?),
        }
    }
    Ok(())
}

pub(super) fn failed(path: &Path, error: redb::Error) -> PitError {
    PitError::Index { path: path.to_owned(), source: Box::new(error) }
}

fn build(file: File, checked: bool) -> Result<Database, redb::Error> {
    Ok(builder(checked).create_with_backend(Unlocked(file))?)
}

fn builder(checked: bool) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(checked);
    builder
}

fn snapshot(database: &Database) -> Result<Snapshot, redb::Error> {
    Ok(database.begin_read()?.open_table(ROWS)?)
}

#[derive(Debug)]
struct Unlocked(File);

impl StorageBackend for Unlocked {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        disk::read_exact_at(&self.0, out, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        #[cfg(test)]
        refusal::check()?;
        disk::set_len(&self.0, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        disk::sync_data(&self.0)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        refusal::check()?;
        disk::write_all_at(&self.0, data, offset)
    }
}

/// A disk that takes nothing of an index, for tests.
#[cfg(test)]
pub(super) mod refusal {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static REFUSES: Cell<bool> = const { Cell::new(false) };
    }

    /// Whether what this thread writes is refused from now on.
    pub(in super::super) fn set(refuses: bool) {
        REFUSES.set(refuses);
    }

    pub(super) fn check() -> io::Result<()> {
        if REFUSES.get() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}
