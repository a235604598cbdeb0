//! The lock of a state folder: of a file in it, which says who has it, and of the folder itself.
//!
//! Called by `state_folder`. Invariants: where one of the two was deleted or replaced while a system runs, the other still
//! keeps a second system out; and a lock that was taken is of the file that its name leads to.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use component::{Code, Failure, Health};
use orchestra_kit::remove_tree;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

/// How often a lock file is opened that is replaced while it is.
const ATTEMPTS: usize = 8;

/// The lock, taken.
pub(super) struct Lock {
    file: File,
    /// None where a folder cannot be locked, as on some network file systems.
    folder: Option<File>,
    path: PathBuf,
    /// The folder goes with the last share of the lock.
    pub(super) temporary: bool,
    pub(super) workers: Mutex<Vec<&'static str>>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = remove_tree(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(target: "symphony.boot", %path, %error, "a temporary state folder stays");
        }
    }
}

impl Lock {
    /// Takes the lock of the folder at `path`, which is there.
    ///
    /// # Errors
    /// `state-locked` when another system has it, `state-invalid` when it cannot be used.
    pub(super) fn take(path: &Path, temporary: bool) -> Result<Self, Failure> {
        let path = &std::path::absolute(path).map_err(|error| unusable(path, "found", &error))?;
        let unlockable = |error: io::Error| unusable(path, "locked", &error);
        // The file first: it says who has the lock.
        let mut file = lock_file(path)?;
        let folder = File::open(path).map_err(unlockable)?;
        let folder = match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Some(folder),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(belongs_to_another(path)
                    .because("its lock file was deleted or replaced while it runs"));
            }
            Err(_) => None,
        };
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(unlockable)?;
        Ok(Self { file, folder, path: path.to_owned(), temporary, workers: Mutex::default() })
    }

    /// Tells whoever asks for the folder meanwhile why it is still locked.
    pub(super) fn tell_who_works(&self) {
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

    /// The descriptors, which a forked child must let go of.
    pub(super) fn descriptors(&self) -> [Option<RawFd>; 2] {
        [Some(self.file.as_raw_fd()), self.folder.as_ref().map(AsRawFd::as_raw_fd)]
    }

    /// Whether the names of folder and lock file still lead to what is locked.
    pub(super) fn health(&self) -> Health {
        let name = self.path.join("lock");
        let folder = self.folder.as_ref().map(|folder| lost(folder, &self.path));
        let text = match (folder, lost(&self.file, &name)) {
            (Some(Some(what)), _) => format!(
                "the state folder `{}` was {what} while it is in use: what is kept there is lost to the next start",
                self.path.display()
            ),
            (Some(None), Some(what)) => {
                return Health::Degraded(format!(
                    "the lock file `{}` was {what} while it is in use; the folder itself is locked too, so nobody \
                     else gets in",
                    name.display()
                ));
            }
            (None, Some(what)) => format!(
                "the lock file `{}` was {what} while it is in use: another system may get in and destroy what is \
                 kept there",
                name.display()
            ),
            (_, None) => return Health::Healthy,
        };
        Health::Unhealthy(text)
    }
}

/// Opens the lock file and locks it.
fn lock_file(path: &Path) -> Result<File, Failure> {
    let name = path.join("lock");
    let unlockable = |error: io::Error| unusable(path, "locked", &error);
    for _ in 0..ATTEMPTS {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name)
            .map_err(unlockable)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            // Who holds it is only for the reader of the error; not knowing is no second error.
            let _ = file.read_to_string(&mut holder);
            let failure = belongs_to_another(path);
            return Err(match holder.trim() {
                "" => failure,
                _ => failure.because(held_by(&holder)),
            });
        }
        // One that was deleted since it was opened locks nobody out.
        if lost(&file, &name).is_none() {
            return Ok(file);
        }
    }
    Err(unlockable(io::Error::other("its lock file is replaced again and again")))
}

/// What happened to a name that does not lead to this file any more; none where it does, or where nobody can say.
fn lost(file: &File, name: &Path) -> Option<&'static str> {
    let identity = |found: Metadata| (found.dev(), found.ino());
    let wanted = identity(file.metadata().ok()?);
    match fs::metadata(name).map(identity) {
        Ok(found) if found == wanted => None,
        Ok(_) => Some("replaced"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("deleted"),
        Err(_) => None,
    }
}

fn belongs_to_another(path: &Path) -> Failure {
    Failure::new(
        Code::STATE_LOCKED,
        format!("state folder `{}` belongs to another running system", path.display()),
    )
    .hint("shut the other system down, or set another `state` in `[system]`")
}

/// The failure of a folder that cannot be used.
pub(super) fn unusable(path: &Path, what: &str, error: &io::Error) -> Failure {
    Failure::new(Code::STATE_INVALID, format!("state folder `{}` cannot be {what}", path.display()))
        .because(error.to_string())
        .hint("set `state` in `[system]` to a folder that can be written")
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
