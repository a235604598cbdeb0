//! How often in a row a library's start did not come back, over boots.
//!
//! Called by [`super::pit`]. The loader's mark says only that a process ended during a start: by the library's fault, or
//! because it was killed, or the power went, while a slow one started. Invariant: a library is refused only when
//! [`LIMIT`] starts in a row did not come back; one that does come back, well or not, begins anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use pit::{PitError, PitResult};

/// So many starts in a row that did not come back are the library's own fault.
pub(super) const LIMIT: usize = 3;

/// One for each mark, held from the look at it to the end of the start that follows: a mark that is seen meanwhile is an
/// earlier process's, never that of a start beside this one. A library that hangs keeps nobody but itself.
static LOOKING: Mutex<BTreeMap<PathBuf, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// Loads by `load`, and once more where marks of earlier processes are too few to refuse it.
///
/// # Errors
/// Those of `load`.
pub(super) fn load<T>(
    folder: Option<&Path>,
    load: impl Fn() -> PitResult<T>,
    digest: impl Fn(&T) -> &str,
) -> PitResult<T> {
    let loaded = match load() {
        Err(PitError::LibraryQuarantined { mark, .. }) => {
            let looking = Arc::clone(LOOKING.lock().entry(mark).or_default());
            let _looking = looking.lock();
            match load() {
                Err(PitError::LibraryQuarantined { path, mark }) => {
                    if !set_aside(&mark) {
                        return Err(PitError::LibraryQuarantined { path, mark });
                    }
                    let again = load();
                    // One that was not even begun says nothing of the library.
                    if !matches!(again, Err(PitError::Io { .. })) {
                        forget(&mark);
                    }
                    return again;
                }
                other => other,
            }
        }
        other => other,
    };
    if let (Ok(library), Some(folder)) = (&loaded, folder) {
        // There is something to forget where somebody took the mark of a refused one away.
        forget(&folder.join(format!("{}.starting", digest(library))));
    }
    loaded
}

/// The names under which the marks of starts before the last one are kept.
fn earlier(mark: &Path) -> impl Iterator<Item = PathBuf> {
    (1..LIMIT).map(|number| mark.with_extension(format!("unfinished-{number}")))
}

/// Counts the mark as one of a start that did not come back; false: there are enough of them, or it cannot be counted.
fn set_aside(mark: &Path) -> bool {
    let free = earlier(mark).find(|kept| !kept.exists());
    free.is_some_and(|free| {
        let counted = fs::rename(mark, free);
        if let Err(error) = &counted {
            tracing::warn!("the mark `{}` cannot be counted: {error}", mark.display());
        }
        counted.is_ok()
    })
}

fn forget(mark: &Path) {
    for kept in earlier(mark) {
        // One that stays makes the next refusal come sooner, which says itself how to lift it.
        let _ = fs::remove_file(kept);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use pit::{PitError, PitResult};

    use super::LIMIT;

    /// What the loader does, with a library whose start is `start`.
    fn boot(folder: &Path, comes_back: bool) -> PitResult<&'static str> {
        let mark = folder.join("d1.starting");
        let load = || {
            if mark.exists() {
                let path = "library.so".into();
                return Err(PitError::LibraryQuarantined { path, mark: mark.clone() });
            }
            if !comes_back {
                // What a process leaves that ends here.
                fs::write(&mark, "").unwrap();
                std::panic::resume_unwind(Box::new("the process ended"));
            }
            Ok("d1")
        };
        super::load(Some(folder), load, |digest| digest)
    }

    fn killed(folder: &Path) -> bool {
        std::panic::catch_unwind(|| boot(folder, false)).is_err()
    }

    fn left(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_process_that_was_killed_during_a_start_costs_no_library() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..10 {
            for _ in 1..LIMIT {
                assert!(killed(folder.path()));
            }
            boot(folder.path(), true).unwrap();
            assert_eq!(left(folder.path()), 0);
        }
    }

    #[test]
    fn a_library_that_never_comes_back_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..LIMIT {
            assert!(killed(folder.path()));
        }
        for _ in 0..2 {
            let refused = boot(folder.path(), true).unwrap_err();
            assert!(matches!(refused, PitError::LibraryQuarantined { .. }), "{refused}");
        }
        // As its hint says; nothing of the past counts after that.
        fs::remove_file(folder.path().join("d1.starting")).unwrap();
        boot(folder.path(), true).unwrap();
        assert_eq!(left(folder.path()), 0);
        assert!(killed(folder.path()));
        boot(folder.path(), true).unwrap();
    }

    #[test]
    fn starts_at_once_after_a_kill_do_not_refuse_each_other() {
        let folder = tempfile::tempdir().unwrap();
        assert!(killed(folder.path()));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| boot(folder.path(), true).unwrap());
            }
        });
        assert_eq!(left(folder.path()), 0);
    }
}
