//! The redb file beneath the index, opened without a lock of its own.
//!
//! The state folder's lock is the root's alone. redb's own lock would be inherited by a forked child of the root and
//! keep the next boot out for as long as that child lives.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use redb::{Builder, Database, ReadOnlyTable, ReadableDatabase, StorageBackend, TableDefinition};

use crate::{PitError, PitResult};

/// The rows that a lookup reads; it sees the state of one commit.
pub(super) type Snapshot = ReadOnlyTable<&'static [u8], &'static [u8]>;

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
const CACHE_BYTES: usize = 8 << 20;

/// Opens the database; none where there is no file, or one that is damaged (it is removed, the journal has it all).
pub(super) fn open(path: &Path) -> PitResult<Option<(Database, Snapshot)>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PitError::io("open the index", path)(error)),
    };
    match build(file).and_then(|database| Ok((snapshot(&database)?, database))) {
        Ok((snapshot, database)) => Ok(Some((database, snapshot))),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the index is damaged and is rebuilt");
            remove(path)?;
            Ok(None)
        }
    }
}

pub(super) fn create(path: &Path) -> PitResult<Database> {
    remove(path)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(PitError::io("create the index", path))?;
    build(file).map_err(|error| failed(path, error))
}

pub(super) fn remove(path: &Path) -> PitResult<()> {
    match fs::remove_file(path) {
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
    let mut transaction = database.begin_write()?;
    // An index that was not closed opens at once, for a little more work here, in the background.
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(ROWS)?;
        for (key, value) in rows {
            match value {
                Some(value) => drop(table.insert(key, value)?),
                None => drop(table.remove(key)?),
            }
        }
    }
    transaction.commit()?;
    snapshot(database)
}

pub(super) fn failed(path: &Path, error: redb::Error) -> PitError {
    PitError::Index { path: path.to_owned(), source: Box::new(error) }
}

fn build(file: File) -> Result<Database, redb::Error> {
    Ok(Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(Unlocked(file))?)
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
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}
