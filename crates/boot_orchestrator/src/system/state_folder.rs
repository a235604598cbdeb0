//! The state folder: made at the start, locked while the system runs, and gone with it when it was temporary.
//!
//! The lock is the root's alone: close-on-exec, and let go of by a forked child, so that it is free the moment the
//! root dies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use component::{Code, Failure};
use orchestra_kit::supervisor::Environment;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

/// Where a system keeps what it stores.
pub(super) struct StateFolder {
    path: PathBuf,
    temporary: bool,
    lock: Mutex<Option<File>>,
}

impl StateFolder {
    /// The folder of a manifest or a caller, or one of its own where temporary files belong.
    pub(super) fn new(path: Option<PathBuf>, environment: &Environment) -> Self {
        let temporary = path.is_none();
        let path = path.unwrap_or_else(|| {
            let unique = format!("symphony-{}-{:x}", std::process::id(), unique());
            environment.temporary_folder().join(unique)
        });
        Self { path, temporary, lock: Mutex::new(None) }
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
                failure = failure.because(format!("process {} holds its lock", holder.trim()));
            }
            return Err(failure);
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .map_err(|error| self.unusable("locked", &error))?;
        *self.lock.lock() = Some(lock);
        Ok(())
    }

    /// The lock's descriptor, which a forked child must let go of.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        // Asked in a forked child, where the thread that holds it may not exist.
        self.lock.try_lock()?.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Gives the lock back; a temporary folder is removed.
    ///
    /// # Errors
    /// When the temporary folder cannot be removed.
    pub(super) fn release(&self) -> Result<(), Failure> {
        let held = self.lock.lock().take();
        let result =
            if self.temporary && held.is_some() { fs::remove_dir_all(&self.path) } else { Ok(()) };
        drop(held);
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
