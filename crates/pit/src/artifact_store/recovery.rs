//! Journal and index brought together when the store is opened.
//!
//! Called once, by the store's open. The journal is the truth, and what the index missed is replayed from it. Only where
//! the journal itself lost something, as one that was cut, the index may know more: then the journal is written anew of it,
//! if the index is whole. Invariant: nothing that was acknowledged and is still there is lost, and what cannot be had
//! again is an error that changes nothing.

use std::path::Path;

use component::chain;

use super::ArtifactId;
use super::index::Index;
use super::record::{FORMAT, FORMAT_BEFORE, Place};
use super::replay::Replay;
use super::snapshot::Snapshot;
use crate::journal::{Journal, Mark};
use crate::journal_opening::{Opening, salvage};
use crate::{Durability, PitError, PitResult, RecoveryProgress};

/// What the store goes on with.
pub(super) struct Recovered {
    pub(super) journal: Journal,
    pub(super) index: Index,
    /// What was deleted on the way, and where it was.
    pub(super) deleted: Vec<(ArtifactId, Place)>,
    /// What had to be done to the journal, and why.
    pub(super) rescue: Option<String>,
}

/// Opens both.
///
/// # Errors
/// [`PitError::JournalMissing`], [`PitError::JournalCut`] of a journal that lost what the index does not know either, and
/// as [`Opening::replay`].
pub(super) fn recover(
    folder: &Path,
    durability: Durability,
    progress: &RecoveryProgress,
) -> PitResult<Recovered> {
    let path = folder.join("journal");
    Journal::raise_version(&path, FORMAT_BEFORE, FORMAT)?;
    let (mut index, mark) = Index::open(&folder.join("index.redb"))?;
    let begun = Journal::begin_kept(&path, FORMAT, durability);
    let (opening, mark, rescue) = match (begun, mark) {
        (Ok(opening), Some(mark)) if opening.is_cut_before(mark) => {
            opening.refuse_cut(Some(mark))?;
            let held = opening.mark().offset;
            let why = format!("it was cut at byte {held} of at least {}", mark.offset);
            rescued(&path, &mut index, mark, (durability, progress), &why, || {
                cut(folder, &opening, mark)
            })?
        }
        (Err(error @ PitError::Corrupt { .. }), Some(mark)) => {
            let why = chain(&error);
            rescued(&path, &mut index, mark, (durability, progress), &why, || error)?
        }
        (begun, mark) => {
            let opening = begun?;
            if mark.is_some_and(|mark| opening.was_emptied(mark)) {
                let witness = folder.join("index.redb");
                return Err(PitError::JournalMissing { path, found: "empty", witness });
            }
            opening.refuse_cut(mark)?;
            let mark = mark.filter(|mark| opening.covers(*mark));
            if mark.is_none() {
                index.reset()?;
            }
            (opening, mark, None)
        }
    };
    let mut replay = Replay::new(&mut index);
    let replayed = opening.telling(progress).replay(mark, |mark, bytes| replay.record(mark, bytes));
    let mut deleted = replay.deleted;
    let journal = match replayed {
        Err(error @ PitError::Index { .. }) => {
            tracing::warn!(%error, "the artifact index is unreadable and is rebuilt");
            index.reset()?;
            let mut replay = Replay::new(&mut index);
            let opening = Journal::begin_kept(&path, FORMAT, durability)?.telling(progress);
            let journal = opening.replay(None, |mark, bytes| replay.record(mark, bytes))?;
            deleted = replay.deleted;
            journal
        }
        replayed => replayed?,
    };
    Ok(Recovered { journal, index, deleted, rescue })
}

/// The error for a journal that the index cannot make whole.
fn cut(folder: &Path, opening: &Opening, mark: Mark) -> PitError {
    let (path, witness) = (folder.join("journal"), folder.join("index.redb"));
    PitError::JournalCut { path, length: opening.mark().offset, held: mark.offset, witness }
}

/// Writes the journal anew of the index and of what stands behind it, and keeps the old one. `otherwise` is the error where
/// the index is not whole, or nothing says that the two belong together.
fn rescued(
    path: &Path,
    index: &mut Index,
    mark: Mark,
    (durability, progress): (Durability, &RecoveryProgress),
    why: &str,
    otherwise: impl FnOnce() -> PitError,
) -> PitResult<(Opening, Option<Mark>, Option<String>)> {
    let records = match records_of(path, index, mark, progress) {
        Ok(Some(records)) => records,
        // Nothing proves that the journal is the index's.
        Ok(None) => return Err(otherwise()),
        Err(error @ PitError::Index { .. }) => {
            tracing::error!(
                error = chain(&error),
                "the artifact journal cannot be made of the index"
            );
            return Err(otherwise());
        }
        Err(error) => return Err(error),
    };
    let count = records.len() as u64;
    let (aside, mark) = Journal::replace_closed(path, FORMAT, records)?;
    index.moved_to(mark, count);
    let (at, aside) = (path.display(), aside.display());
    let text = format!(
        "the journal `{at}` was written anew of the index, because {why}; the old one is kept as `{aside}`"
    );
    tracing::error!("{text}");
    let opening = Journal::begin_kept(path, FORMAT, durability)?;
    Ok((opening, Some(mark), Some(text)))
}

/// All that the journal had to say. None: it may be another's.
fn records_of(
    path: &Path,
    index: &mut Index,
    mark: Mark,
    progress: &RecoveryProgress,
) -> PitResult<Option<Vec<Vec<u8>>>> {
    // A damaged page that is written into a journal would be the truth from then on.
    index.check_in_use()?;
    let mut replay = Replay::new(index);
    // In memory alone, until the journal says it too.
    replay.refused = true;
    if !salvage(path, FORMAT, mark, |mark, bytes| replay.record(mark, bytes))? {
        return Ok(None);
    }
    Snapshot::new(index).collect(progress).map(Some)
}
