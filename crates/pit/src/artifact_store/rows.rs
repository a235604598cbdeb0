//! Ordered rows: changes in memory over what redb holds, read as one.
//!
//! Changes stay in `fresh` until a batch takes them as `frozen`; they shadow redb while it is written and go only when
//! the commit is done, so a reader never misses a row and never waits for a commit.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::mem;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::Database;

use super::database::{self, CHECKED_BYTES, Snapshot};
use super::record::MEMBER;
use crate::{PitError, PitResult};

/// Changed rows; none means that the row is gone.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A row that was found.
pub(super) type Row = (Vec<u8>, Vec<u8>);

#[derive(Debug)]
pub(super) struct Rows {
    path: PathBuf,
    fresh: Changes,
    frozen: Option<Arc<Changes>>,
    base: Option<(Arc<Database>, Snapshot)>,
    closed: bool,
    /// The database was found damaged, or could not be looked at: nothing is answered until others take the place of
    /// these rows.
    damaged: bool,
}

/// One batch on its way to redb.
#[derive(Debug)]
pub(super) struct Batch {
    path: PathBuf,
    changes: Arc<Changes>,
    database: Option<Arc<Database>>,
}

impl Rows {
    /// Opens what is there; no file is made before the first batch.
    pub(super) fn open(path: &Path) -> PitResult<Self> {
        let base = database::open(path, false)?.map(|(database, rows)| (Arc::new(database), rows));
        Ok(Self { base, ..Self::empty(path.to_owned()) })
    }

    fn empty(path: PathBuf) -> Self {
        let (fresh, frozen, base) = (Changes::new(), None, None);
        Self { path, fresh, frozen, base, closed: false, damaged: false }
    }

    /// No rows of the same file, which is not touched.
    pub(super) fn emptied(&self) -> PitResult<Self> {
        self.check_open()?;
        Ok(Self::empty(self.path.clone()))
    }

    /// Looks at the checksums of the database. Waiting changes stay. A damaged database is gone afterwards.
    pub(super) fn check(&mut self) -> PitResult<()> {
        self.check_whole()?;
        if self.base.is_none() {
            return Ok(());
        }
        // Only a database that nobody has open can be checked.
        database::put_away(self.base.take());
        self.damaged = true;
        if let Some((database, rows)) = database::open(&self.path, true)? {
            self.base = Some((Arc::new(database), rows));
            self.damaged = false;
        }
        self.check_whole()
    }

    /// The same; a damaged database is left as it is.
    pub(super) fn check_in_use(&self) -> PitResult<()> {
        self.check_whole()?;
        if self.base.is_some() {
            database::check_in_use(&self.path, &Arc::default())
        } else {
            Ok(())
        }
    }

    /// The database's file, where it is too large to be looked at before it is read; none where there is nothing to look at.
    pub(super) fn large(&self) -> PitResult<Option<PathBuf>> {
        self.check_whole()?;
        let large = self.base.is_some() && database::length(&self.path)? > CHECKED_BYTES;
        Ok(large.then(|| self.path.clone()))
    }

    /// Forgets all rows, for an index that does not belong to the journal.
    pub(super) fn reset(&mut self) -> PitResult<()> {
        self.fresh.clear();
        self.frozen = None;
        self.damaged = false;
        database::put_away(self.base.take());
        database::remove(&self.path)
    }

    fn check_whole(&self) -> PitResult<()> {
        self.check_open()?;
        if self.damaged { Err(self.damage("its checksums are wrong".to_owned())) } else { Ok(()) }
    }

    /// The error for rows that are not as they were written.
    pub(super) fn damage(&self, reason: String) -> PitError {
        database::failed(&self.path, redb::Error::Corrupted(reason))
    }

    /// Whether rows are read from the database, too.
    pub(super) fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// Lets the database go: nothing is read or written any more, so another may open its file.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.fresh.clear();
        self.frozen = None;
        database::put_away(self.base.take());
    }

    /// Refuses what comes after [`Self::close`].
    pub(super) fn check_open(&self) -> PitResult<()> {
        if self.closed { Err(PitError::Stopped { member: MEMBER }) } else { Ok(()) }
    }

    pub(super) fn get(&self, key: &[u8]) -> PitResult<Option<Vec<u8>>> {
        self.check_whole()?;
        let waiting =
            self.fresh.get(key).or_else(|| self.frozen.as_ref().and_then(|rows| rows.get(key)));
        if let Some(change) = waiting {
            return Ok(change.clone());
        }
        let Some((_, base)) = &self.base else { return Ok(None) };
        database::get(base, key).map_err(|error| database::failed(&self.path, error))
    }

    /// The rows whose key begins with `prefix`, after the key `after`, at most `limit`, in order.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> PitResult<Vec<Row>> {
        self.check_whole()?;
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let end = successor(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let none = Changes::new();
        let frozen = self.frozen.as_deref().unwrap_or(&none);
        let mut fresh = self.fresh.range::<[u8], _>((start, end)).peekable();
        let mut frozen = frozen.range::<[u8], _>((start, end)).peekable();
        let mut base = match &self.base {
            None => None,
            Some((_, base)) => Some(
                base.range::<&[u8]>((start, end))
                    .map_err(|error| database::failed(&self.path, error.into()))?
                    .map(|row| {
                        row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))
                    }),
            ),
        };
        let mut stored = next(&mut base, &self.path)?;
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(change) = smaller(&mut fresh, &mut frozen) else {
                let Some(row) = stored.take() else { break };
                found.push(row);
                stored = next(&mut base, &self.path)?;
                continue;
            };
            let order = stored.as_ref().map_or(Ordering::Greater, |row| row.0.cmp(change));
            if order == Ordering::Less {
                found.extend(stored.take());
                stored = next(&mut base, &self.path)?;
                continue;
            }
            if order == Ordering::Equal {
                stored = next(&mut base, &self.path)?;
            }
            if let Some((key, Some(value))) = take(&mut fresh, &mut frozen) {
                found.push((key.clone(), value.clone()));
            }
        }
        Ok(found)
    }

    pub(super) fn apply(&mut self, changes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
        self.fresh.extend(changes);
    }

    /// How many changes wait for a batch.
    pub(super) fn waiting(&self) -> usize {
        self.fresh.len() + self.frozen.as_ref().map_or(0, |rows| rows.len())
    }

    /// Takes all that waits as a batch; none where nothing does. A batch that failed before is part of it.
    pub(super) fn freeze(&mut self) -> Option<Batch> {
        let mut changes = match self.frozen.take() {
            Some(failed) => Arc::unwrap_or_clone(failed),
            None => Changes::new(),
        };
        changes.extend(mem::take(&mut self.fresh));
        if changes.is_empty() {
            return None;
        }
        let changes = Arc::new(changes);
        self.frozen = Some(Arc::clone(&changes));
        let database = self.base.as_ref().map(|(database, _)| Arc::clone(database));
        Some(Batch { path: self.path.clone(), changes, database })
    }

    /// Lets the rows of a committed batch be read from redb. The answer is the batch, to be dropped under no lock.
    pub(super) fn thaw(&mut self, base: (Arc<Database>, Snapshot)) -> Option<Arc<Changes>> {
        database::put_away(self.base.replace(base));
        self.frozen.take()
    }
}

impl Batch {
    /// Brings the batch to redb; needs no lock.
    pub(super) fn commit(self) -> PitResult<(Arc<Database>, Snapshot)> {
        let is_new = self.database.is_none();
        let committed =
            self.database.map_or_else(|| database::create(&self.path).map(Arc::new), Ok);
        let committed = committed.and_then(|database| {
            let rows = self.changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
            let written = database::write(&database, rows);
            let snapshot = written.map_err(|error| database::failed(&self.path, error))?;
            Ok((database, snapshot))
        });
        if committed.is_err() && is_new {
            // A part of it is of no use to anybody, and a full disk has no room for it.
            drop(database::remove(&self.path));
        }
        committed
    }
}

/// The smallest key that does not begin with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn next<I>(rows: &mut Option<I>, path: &Path) -> PitResult<Option<Row>>
where
    I: Iterator<Item = Result<Row, redb::StorageError>>,
{
    let Some(rows) = rows else { return Ok(None) };
    database::step(rows).map_err(|error| database::failed(path, error))
}

type Change<'a> = (&'a Vec<u8>, &'a Option<Vec<u8>>);

fn smaller<'a, I: Iterator<Item = Change<'a>>>(
    fresh: &mut Peekable<I>,
    frozen: &mut Peekable<I>,
) -> Option<&'a Vec<u8>> {
    match (fresh.peek(), frozen.peek()) {
        (Some((fresh, _)), Some((frozen, _))) => Some((*fresh).min(frozen)),
        (Some((key, _)), None) | (None, Some((key, _))) => Some(key),
        (None, None) => None,
    }
}

/// Takes the change of the smaller key; a fresh one hides a frozen one of the same key.
fn take<'a, I: Iterator<Item = Change<'a>>>(
    fresh: &mut Peekable<I>,
    frozen: &mut Peekable<I>,
) -> Option<Change<'a>> {
    let order = match (fresh.peek(), frozen.peek()) {
        (Some((fresh, _)), Some((frozen, _))) => fresh.cmp(frozen),
        (Some(_), None) => Ordering::Less,
        _ => Ordering::Greater,
    };
    match order {
        Ordering::Less => fresh.next(),
        Ordering::Greater => frozen.next(),
        Ordering::Equal => {
            frozen.next();
            fresh.next()
        }
    }
}
