//! The state folder: made at the start, locked while the system runs, and gone with it when it was temporary.
//!
//! Whoever works in it has a [`Share`] of the lock. Work that was given up at a deadline goes on, and the folder is
//! locked until it has ended: two writers would destroy what is kept there.
//!
//! The lock is the root's alone: close-on-exec, and let go of by a forked child, so that it is free the moment the
//! root dies.

use std::fs::{self, DirBuilder};
use std::os::fd::RawFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::{Code, Diagnostic, Failure, Health};
use orchestra_kit::supervisor::Environment;
use orchestra_kit::{fault_of_state, remove_tree};
use parking_lot::Mutex;

use super::abandoned;
use super::state_lock::{Lock, unusable};

/// So long a lock counts as just taken.
const NEW: Duration = Duration::from_secs(1);

/// Where a system keeps what it stores.
pub(super) struct StateFolder {
    path: PathBuf,
    temporary: bool,
    lock: Mutex<Option<Arc<Lock>>>,
    /// The same after the release, as long as somebody works on.
    shared: Mutex<Weak<Lock>>,
    taken: Mutex<Option<Instant>>,
}

/// A part of the lock, for one that works in the folder: until it is dropped nobody else gets the folder.
pub(super) struct Share {
    lock: Arc<Lock>,
    worker: &'static str,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut workers = self.lock.workers.lock();
        if let Some(place) = workers.iter().position(|worker| *worker == self.worker) {
            workers.swap_remove(place);
        }
    }
}

impl StateFolder {
    /// The folder of a manifest or a caller, or one of its own where temporary files belong.
    pub(super) fn new(path: Option<PathBuf>, environment: &Environment) -> Self {
        let temporary = path.is_none();
        let path = path.unwrap_or_else(|| {
            let unique = format!("{}{}-{:x}", abandoned::PREFIX, std::process::id(), unique());
            environment.temporary_folder().join(unique)
        });
        Self {
            path,
            temporary,
            lock: Mutex::new(None),
            shared: Mutex::default(),
            taken: Mutex::new(None),
        }
    }

    /// Whether the folder ends with the system.
    pub(super) const fn is_temporary(&self) -> bool {
        self.temporary
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why the folder cannot lie at its path, as far as that can be seen without making it.
    pub(super) fn fault(&self) -> Option<Diagnostic> {
        let fault = fault_of_state(&self.path)?;
        // Nobody wrote the path of a temporary one.
        let hint = "set `TMPDIR` to a folder on a disk, or name a `state`";
        Some(if self.temporary { fault.hint(hint) } else { fault })
    }

    /// Makes the folder and takes its lock.
    ///
    /// # Errors
    /// `state-locked` when another system has it, `state-invalid` when it cannot be used.
    pub(super) fn take(&self) -> Result<(), Failure> {
        // The place may have changed since the plan, and nothing is made before it was looked at.
        if let Some(fault) = self.fault() {
            let failure = Failure::new(fault.code, fault.message);
            return Err(fault.hint.into_iter().fold(failure, Failure::hint));
        }
        let is_new = !self.path.exists();
        let make = |path: &Path, recursive: bool| {
            DirBuilder::new().recursive(recursive).mode(0o700).create(path)
        };
        // A temporary one has a name that nobody has: whoever made one of that name does not get our state.
        match self.path.parent().filter(|_| self.temporary) {
            Some(parent) => make(parent, true).and_then(|()| make(&self.path, false)),
            None => make(&self.path, true),
        }
        .map_err(|error| unusable(&self.path, "made", &error))?;
        match self.path.parent() {
            Some(parent) if self.temporary => abandoned::remove_beside(parent.to_owned()),
            _ if is_new => self.hide_from_git(),
            _ => {}
        }
        let lock = Arc::new(Lock::take(&self.path, self.temporary)?);
        *self.taken.lock() = Some(Instant::now());
        *self.shared.lock() = Arc::downgrade(&lock);
        *self.lock.lock() = Some(lock);
        Ok(())
    }

    /// Keeps a new folder out of the repository that it may lie in. State without it is whole, so it only warns.
    fn hide_from_git(&self) {
        let path = self.path.join(".gitignore");
        if let Err(error) = fs::write(&path, "# Made by symphony.\n*\n") {
            let path = path.display();
            tracing::warn!(target: "symphony.boot", %path, %error, "git will see the state folder");
        }
    }

    /// A share of the lock for one that is about to work in the folder. None: the lock was given back.
    pub(super) fn share(&self, worker: &'static str) -> Option<Share> {
        let lock = Arc::clone(self.lock.lock().as_ref()?);
        lock.workers.lock().push(worker);
        Some(Share { lock, worker })
    }

    /// The lock's descriptors, which a forked child must let go of.
    pub(super) fn descriptors(&self) -> [Option<RawFd>; 2] {
        // Asked in a forked child, where the thread that holds it may not exist.
        let lock = self.shared.try_lock().and_then(|shared| shared.upgrade());
        lock.map_or([None, None], |lock| lock.descriptors())
    }

    /// Whether the lock was taken in the last second: nobody has to look what became of it.
    pub(super) fn is_new(&self) -> bool {
        self.taken.lock().is_some_and(|at| at.elapsed() < NEW)
    }

    /// Whether what is locked is still what the names lead to.
    pub(super) fn health(&self) -> Health {
        let lock = self.shared.lock().upgrade();
        lock.map_or(Health::Healthy, |lock| lock.health())
    }

    /// Gives the lock back; a temporary folder is removed.
    ///
    /// # Errors
    /// When the temporary folder cannot be removed.
    pub(super) fn release(&self) -> Result<(), Failure> {
        let Some(lock) = self.lock.lock().take() else { return Ok(()) };
        if Arc::strong_count(&lock) > 1 {
            lock.tell_who_works();
        }
        // Whoever has the last share does the rest.
        let Some(mut lock) = Arc::into_inner(lock) else { return Ok(()) };
        let temporary = std::mem::take(&mut lock.temporary);
        let result = if temporary { remove_tree(&self.path) } else { Ok(()) };
        drop(lock);
        result.map_err(|error| {
            Failure::new(
                Code::STOP_FAILED,
                format!("temporary state folder `{}` cannot be removed", self.path.display()),
            )
            .because(error.to_string())
        })
    }
}

/// A number that no other system of this process has.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanoseconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::from(since.subsec_nanos()));
    nanoseconds << 16 | NEXT.fetch_add(1, Ordering::Relaxed) & 0xffff
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::StateFolder;
    use component::{Code, Health};
    use orchestra_kit::supervisor::Environment;

    #[test]
    fn one_system_at_a_time_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/state");
        let first = StateFolder::new(Some(path.clone()), &Environment::default());
        first.take().unwrap();
        let refused =
            StateFolder::new(Some(path.clone()), &Environment::default()).take().unwrap_err();
        assert_eq!(refused.code, Code::STATE_LOCKED);
        assert_eq!(refused.causes, [format!("process {} holds its lock", std::process::id())]);
        first.release().unwrap();
        StateFolder::new(Some(path.clone()), &Environment::default()).take().unwrap();
        assert!(path.is_dir());
    }

    /// What the health then says, and how the lock file comes to it.
    type Loss = (&'static str, fn(&Path));

    #[test]
    fn a_lock_file_that_is_deleted_or_replaced_lets_nobody_in_and_is_told() {
        let losses: [Loss; 4] = [
            ("deleted", |lock| fs::remove_file(lock).unwrap()),
            ("replaced", |lock| {
                fs::remove_file(lock).unwrap();
                fs::write(lock, b"").unwrap();
            }),
            ("replaced", |lock| {
                fs::copy(lock, lock.with_extension("copy")).unwrap();
                fs::rename(lock.with_extension("copy"), lock).unwrap();
            }),
            ("deleted", |lock| fs::rename(lock, lock.with_extension("aside")).unwrap()),
        ];
        for (said, lose) in losses {
            let folder = tempfile::tempdir().unwrap();
            let open = || StateFolder::new(Some(folder.path().into()), &Environment::default());
            let first = open();
            first.take().unwrap();
            assert_eq!(first.health(), Health::Healthy);
            lose(&folder.path().join("lock"));
            for _ in 0..2 {
                let refused = open().take().unwrap_err();
                assert_eq!(refused.code, Code::STATE_LOCKED);
                assert!(refused.causes[0].contains("deleted or replaced"), "{:?}", refused.causes);
            }
            let health = first.health();
            assert!(
                matches!(&health, Health::Degraded(text) if text.contains("lock file")),
                "{health:?}"
            );
            first.release().unwrap();
            open().take().unwrap();
            // And with its name given back, which another system has made meanwhile.
            assert!(
                matches!(&health, Health::Degraded(text) if said == "deleted" || text.contains(said))
            );
        }
    }

    #[test]
    fn a_state_folder_that_is_deleted_or_replaced_is_told() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state");
        let first = StateFolder::new(Some(path.clone()), &Environment::default());
        first.take().unwrap();
        fs::rename(&path, place.path().join("aside")).unwrap();
        assert!(matches!(first.health(), Health::Unhealthy(text) if text.contains("was deleted")));
        fs::create_dir(&path).unwrap();
        assert!(matches!(first.health(), Health::Unhealthy(text) if text.contains("was replaced")));
    }

    #[test]
    fn what_was_given_up_keeps_the_folder_until_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let open = || StateFolder::new(Some(folder.path().into()), &Environment::default());
        let first = open();
        assert!(first.share("artifact-store").is_none(), "nothing is taken yet");
        first.take().unwrap();
        let share = first.share("artifact-store").unwrap();
        drop(first.share("dag-tracker"));
        first.release().unwrap();
        assert!(first.share("dag-tracker").is_none(), "a start that comes too late");
        assert!(first.descriptors().iter().all(Option::is_some), "a forked child lets go of it");
        let refused = open().take().unwrap_err();
        assert_eq!(refused.code, Code::STATE_LOCKED);
        let process = std::process::id();
        assert_eq!(
            refused.causes,
            [format!(
                "process {process} holds its lock: `artifact-store` was given up there at a deadline and still works"
            )]
        );
        drop(share);
        let second = open();
        second.take().unwrap();
        let refused = open().take().unwrap_err();
        assert_eq!(refused.causes, [format!("process {process} holds its lock")]);
    }

    #[test]
    fn a_temporary_folder_goes_with_what_works_in_it() {
        let folder = StateFolder::new(None, &Environment::default());
        folder.take().unwrap();
        let share = folder.share("artifact-store").unwrap();
        folder.release().unwrap();
        assert!(folder.path().is_dir());
        drop(share);
        assert!(!folder.path().exists());
    }

    #[test]
    fn a_temporary_folder_ends_with_its_system() {
        let given = tempfile::tempdir().unwrap();
        let environment = Environment::from_iter([("TMPDIR", given.path())]);
        let folder = StateFolder::new(None, &environment);
        folder.take().unwrap();
        assert!(folder.path().is_dir());
        assert!(folder.path().starts_with(given.path()), "the process was asked for its variable");
        folder.release().unwrap();
        assert!(!folder.path().exists());
    }

    #[test]
    fn a_temporary_folder_that_somebody_else_made_is_not_taken() {
        let given = tempfile::tempdir().unwrap();
        let environment = Environment::from_iter([("TMPDIR", given.path())]);
        let folder = StateFolder::new(None, &environment);
        fs::create_dir(folder.path()).unwrap();
        let refused = folder.take().unwrap_err();
        assert_eq!(refused.code, Code::STATE_INVALID);
        assert!(folder.path().exists());
    }

    #[test]
    fn a_new_folder_is_hidden_from_git_and_an_old_one_is_left_as_it_is() {
        let given = tempfile::tempdir().unwrap();
        let path = given.path().join("state");
        let take = || StateFolder::new(Some(path.clone()), &Environment::default()).take().unwrap();
        take();
        let ignored = path.join(".gitignore");
        assert!(fs::read_to_string(&ignored).unwrap().ends_with("\n*\n"));
        fs::remove_file(&ignored).unwrap();
        take();
        assert!(!ignored.exists());
    }

    #[test]
    fn a_file_for_a_folder_is_said_clearly() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = StateFolder::new(Some(file.path().to_owned()), &Environment::default())
            .take()
            .unwrap_err();
        assert_eq!(refused.code, Code::STATE_INVALID);
        assert!(refused.message.contains("it is a file, not a folder"), "{}", refused.message);
    }
}
