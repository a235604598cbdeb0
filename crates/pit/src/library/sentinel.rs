//! The mark of a library that is being started, with one line for each start in a row that crashed the process.
//!
//! Called by [`super::loader`]. A process that was killed, or lost its power, while a library started leaves a mark
//! without a new line. Invariants: a library is refused only when [`LIMIT`] starts in a row crashed; one that comes back,
//! well or not, begins anew; a mark that cannot be written or removed keeps no library from starting. A mended file has
//! another hash and is free.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{PitError, PitResult};

use super::crash_witness::CrashWitness;

/// So many starts in a row that crashed the process are no accident.
const LIMIT: usize = 3;
/// A mark is a few lines long; more of it is not read.
const LONGEST: u64 = 4096;

/// Marks of this very process.
static OWN: Mutex<BTreeMap<PathBuf, UnderWay>> = Mutex::new(BTreeMap::new());

struct UnderWay {
    starts: usize,
    file: Arc<File>,
}

/// Runs a start under its mark.
///
/// # Errors
/// [`PitError::LibraryQuarantined`] when enough starts of the same file crashed; [`PitError::Io`]; those of `start`.
pub(super) fn during<T>(
    folder: &Path,
    library: &Path,
    sha256: &str,
    start: impl FnOnce() -> PitResult<T>,
) -> PitResult<T> {
    let mark = folder.join(format!("{sha256}.starting"));
    let file = match set(folder, library, &mark) {
        Err(PitError::Io { source, .. }) if cannot_be_kept(&source) => {
            let (mark, library) = (mark.display(), library.display());
            tracing::warn!("the mark `{mark}` of the library `{library}` cannot be kept: {source}");
            return start();
        }
        set => set?,
    };
    let witness = CrashWitness::of(&file);
    let started = start();
    drop(witness);
    // It came back: whether it started or not, it did not take the process down.
    clear(&mark, &file);
    started
}

/// What a disk may refuse for long. A shortage that passes is the caller's, who tries again.
fn cannot_be_kept(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied
    )
}

fn set(folder: &Path, library: &Path, mark: &Path) -> PitResult<Arc<File>> {
    let mut own = OWN.lock();
    if let Some(under_way) = own.get_mut(mark) {
        under_way.starts += 1;
        return Ok(Arc::clone(&under_way.file));
    }
    let failed = || PitError::io("write the mark", mark);
    fs::create_dir_all(folder).map_err(PitError::io("create the folder", folder))?;
    let mut file =
        File::options().read(true).append(true).create(true).open(mark).map_err(failed())?;
    let mut lines = Vec::new();
    (&mut file).take(LONGEST).read_to_end(&mut lines).map_err(failed())?;
    let lines = String::from_utf8_lossy(&lines);
    let crashes = lines.lines().count();
    match lines.lines().last() {
        Some(last) if crashes >= LIMIT => Err(PitError::LibraryQuarantined {
            path: library.to_owned(),
            mark: mark.to_owned(),
            crashes,
            last: last.to_owned(),
        }),
        _ => {
            let file = Arc::new(file);
            own.insert(mark.to_owned(), UnderWay { starts: 1, file: Arc::clone(&file) });
            Ok(file)
        }
    }
}

fn clear(mark: &Path, file: &File) {
    let mut own = OWN.lock();
    match own.get_mut(mark) {
        Some(under_way) if under_way.starts > 1 => under_way.starts -= 1,
        _ => {
            own.remove(mark);
            // What the mark counts is over, also where it stays.
            let ended = file.set_len(0).and(fs::remove_file(mark));
            if let Err(error) = ended
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!("the mark `{}` cannot be removed: {error}", mark.display());
            }
        }
    }
}
