//! The state folder: made at the start, locked while the system runs, and gone with it when it was temporary.
//!
//! Whoever works in it has a [`Share`] of the lock. Work that was given up at a deadline goes on, and the folder is
//! locked until it has ended: two writers would destroy what is kept there.
//!
//! The lock is the root's alone: close-on-exec, and let go of by a forked child, so that it is free the moment the
//! root dies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use component::{Code, Failure};
use orchestra_kit::supervisor::Environment;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

/// Where a system keeps what it stores.
pub(super) struct StateFolder {
    path: PathBuf,
    temporary: bool,
    lock: Mutex<Option<Arc<Lock>>>,
    /// The same after the release, as long as somebody works on.
    shared: Mutex<Weak<Lock>>,
}

/// The lock, taken.
struct Lock {
    file: File,
    path: PathBuf,
    /// It goes with its last share.
    temporary: bool,
    workers: Mutex<Vec<&'static str>>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(target: "symphony.boot", %path, %error, "a temporary state folder stays");
        }
    }
}

impl Lock {
    /// Tells whoever asks for the folder meanwhile why it is still locked.
    fn tell_who_works(&self) {
        let workers = self.workers.lock().join("`, `");
        if workers.is_empty() {
            // It has ended just now.
            return;
        }
        tracing::warn!(target: "symphony.boot", %workers, "what was given up still works in the state folder");
        let text = format!("{}\n`{workers}`", std::process::id());
        // The reader of the error has less to read without it, and the lock itself is whole.
        if let Err(error) = self.file.write_all_at(text.as_bytes(), 0) {
            tracing::warn!(target: "symphony.boot", %error, "the lock could not be labelled");
        }
    }
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
            let unique = format!("symphony-{}-{:x}", std::process::id(), unique());
            environment.temporary_folder().join(unique)
        });
        Self { path, temporary, lock: Mutex::new(None), shared: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder and takes its lock.
    ///
    /// # Errors
    /// `state-locked` when another system has it, `state-invalid` when it cannot be used.
    pub(super) fn take(&self) -> Result<(), Failure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|error| self.unusable("made", &error))?;
        let file = self.path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(|error| self.unusable("locked", &error))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            // Who holds it is only for the reader of the error; not knowing is no second error.
            let _ = lock.read_to_string(&mut holder);
            let mut failure = Failure::new(
                Code::STATE_LOCKED,
                format!("state folder `{}` belongs to another running system", self.path.display()),
            )
            .hint("shut the other system down, or set another `state` in `[system]`");
            if !holder.trim().is_empty() {
                failure = failure.because(held_by(&holder));
            }
            return Err(failure);
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .map_err(|error| self.unusable("locked", &error))?;
        let (path, temporary, workers) = (self.path.clone(), self.temporary, Mutex::default());
        let lock = Arc::new(Lock { file: lock, path, temporary, workers });
        *self.shared.lock() = Arc::downgrade(&lock);
        *self.lock.lock() = Some(lock);
        Ok(())
    }

    /// A share of the lock for one that is about to work in the folder. None: the lock was given back.
    pub(super) fn share(&self, worker: &'static str) -> Option<Share> {
        let lock = Arc::clone(self.lock.lock().as_ref()?);
        lock.workers.lock().push(worker);
        Some(Share { lock, worker })
    }

    /// The lock's descriptor, which a forked child must let go of.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        // Asked in a forked child, where the thread that holds it may not exist.
        Some(self.shared.try_lock()?.upgrade()?.file.as_raw_fd())
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
        let result = if temporary { fs::remove_dir_all(&self.path) } else { Ok(()) };
        drop(lock);
        result.map_err(|error| {
            Failure::new(
                Code::STOP_FAILED,
                format!("temporary state folder `{}` cannot be removed", self.path.display()),
            )
            .because(error.to_string())
        })
    }

    fn unusable(&self, what: &str, error: &std::io::Error) -> Failure {
        Failure::new(
            Code::STATE_INVALID,
            format!("state folder `{}` cannot be {what}", self.path.display()),
        )
        .because(error.to_string())
        .hint("set `state` in `[system]` to a folder that can be written")
    }
}

/// Who has the lock, by what the lock's file says: a process, and what of it was given up and still works.
fn held_by(label: &str) -> String {
    match label.trim().split_once('\n') {
        Some((process, workers)) => format!(
            "process {process} holds its lock: {workers} was given up there at a deadline and still works"
        ),
        None => format!("process {} holds its lock", label.trim()),
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
    use super::StateFolder;
    use component::Code;
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
        assert!(first.descriptor().is_some(), "a forked child lets go of it");
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
    fn a_file_for_a_folder_is_said_clearly() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = StateFolder::new(Some(file.path().to_owned()), &Environment::default())
            .take()
            .unwrap_err();
        assert_eq!(refused.code, Code::STATE_INVALID);
        assert!(refused.message.contains("cannot be made"), "{}", refused.message);
    }
}
