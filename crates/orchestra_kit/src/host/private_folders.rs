//! The folders that each extension has for itself, whatever it is granted.
//!
//! Called by the process host before a run. Invariants: nobody but this system's user may look into them; what is temporary
//! is of one run, however that ended, and of those that overlap with it.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::extension::Ended;
use crate::removal::remove_tree;
use crate::sandbox::Policy;

/// What the name of a temporary folder that nobody uses any more begins with.
const GONE: &str = "tmp.gone-";

/// The temporary folders of the runs that there are, and of how many runs each is. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct TemporaryFolders(Arc<Mutex<HashMap<PathBuf, usize>>>);

/// The private folders of one run: to be dropped when its process has ended.
pub(super) struct PrivateFolders {
    /// The folder for temporary files; none where it has none.
    temporary: Option<PathBuf>,
    all: TemporaryFolders,
}

impl PrivateFolders {
    /// The variable that names the folder for temporary files to the run.
    pub(super) fn variable(&self) -> Option<(String, String)> {
        let folder = self.temporary.as_ref()?;
        Some(("TMPDIR".to_owned(), folder.to_string_lossy().into_owned()))
    }
}

impl Drop for PrivateFolders {
    fn drop(&mut self) {
        let Some(folder) = &self.temporary else { return };
        let mut runs = self.all.0.lock();
        if let Some(count) = runs.get_mut(folder) {
            *count -= 1;
            if *count == 0 {
                runs.remove(folder);
            }
        }
    }
}

impl TemporaryFolders {
    /// Makes the private folders of a run; the temporary one is empty, unless another run of the same extension has it.
    pub(super) fn of_run(&self, policy: &Policy) -> Result<PrivateFolders, Ended> {
        let temporary = policy.temporary.is_absolute().then(|| policy.temporary.clone());
        if let Some(folder) = &temporary {
            let mut runs = self.0.lock();
            let count = runs.entry(folder.clone()).or_default();
            if *count == 0
                && let Err(error) = set_aside(folder)
            {
                let path = folder.display();
                tracing::warn!(target: "symphony.core", %path, %error, "what an earlier run left is not removed");
            }
            *count += 1;
        }
        let folders = PrivateFolders { temporary, all: self.clone() };
        for folder in [&policy.temporary, &policy.data] {
            if folder.is_absolute() {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(|error| {
                    Ended::Refused(format!(
                        "its folder `{}` cannot be made: {error}",
                        folder.display()
                    ))
                })?;
            }
        }
        Ok(folders)
    }
}

/// Empties a folder: what is in it is put aside at once, and removed by a thread that nobody waits for, however much it is.
fn set_aside(folder: &Path) -> io::Result<()> {
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        // A run closed it, and the next is to have another.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
        Err(error) => return Err(error),
    };
    let Some(parent) = folder.parent().filter(|_| !is_empty) else { return Ok(()) };
    let aside = (0..).map(|number| parent.join(format!("{GONE}{number}")));
    let Some(aside) = aside.into_iter().find(|path| fs::symlink_metadata(path).is_err()) else {
        return Ok(());
    };
    fs::rename(folder, aside)?;
    let parent = parent.to_owned();
    std::thread::Builder::new().name("symphony-tidy".to_owned()).spawn(move || remove(&parent))?;
    Ok(())
}

/// Removes what was put aside there, now or by a process that did not come to it.
fn remove(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        if !entry.file_name().to_string_lossy().starts_with(GONE) {
            continue;
        }
        let path = entry.path();
        if let Err(error) = remove_tree(&path) {
            let path = path.display();
            tracing::warn!(target: "symphony.core", %path, %error, "what an earlier run left stays; remove it");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::{GONE, TemporaryFolders};
    use crate::sandbox::Policy;

    fn policy(folder: &Path) -> Policy {
        Policy { temporary: folder.join("tmp"), data: folder.join("data"), ..Policy::default() }
    }

    fn close(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_run_finds_its_temporary_folder_empty_and_its_data_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let policy = policy(folder.path());
        let folders = TemporaryFolders::default();
        let first = folders.of_run(&policy).unwrap();
        fs::create_dir(policy.temporary.join("deep")).unwrap();
        fs::write(policy.temporary.join("deep/left"), "x").unwrap();
        close(&policy.temporary.join("deep"), 0o500);
        fs::write(policy.data.join("kept"), "x").unwrap();
        drop(first);
        let second = folders.of_run(&policy).unwrap();
        assert!(fs::read_dir(&policy.temporary).unwrap().next().is_none());
        assert!(policy.data.join("kept").exists());
        assert_eq!(second.variable().unwrap().0, "TMPDIR");
        let gone = || {
            let mut entries = fs::read_dir(folder.path()).unwrap().filter_map(Result::ok);
            !entries.any(|entry| entry.file_name().to_string_lossy().starts_with(GONE))
        };
        let begun = Instant::now();
        while !gone() {
            assert!(begun.elapsed() < Duration::from_secs(20), "what was put aside stays");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_run_that_begins_beside_another_takes_nothing_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let policy = policy(folder.path());
        let folders = TemporaryFolders::default();
        let old = folders.of_run(&policy).unwrap();
        fs::write(policy.temporary.join("in use"), "x").unwrap();
        let new = folders.of_run(&policy).unwrap();
        drop(old);
        let newer = folders.of_run(&policy).unwrap();
        assert!(policy.temporary.join("in use").exists());
        drop((new, newer));
        let _last = folders.of_run(&policy).unwrap();
        assert!(!policy.temporary.join("in use").exists());
    }
}
