//! Temporary state folders of systems that were killed: removed by the next boot that has one of its own.
//!
//! Called by `state_folder`, on a thread that nobody waits for. Invariant: only a folder is removed that one of us made
//! (by its name, its owner and its lock file), whose process is gone and whose locks nobody holds; both locks are held
//! meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use orchestra_kit::remove_tree;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::process::{Pid, getuid, test_kill_process};

/// What the name of every temporary state folder begins with.
pub(super) const PREFIX: &str = "symphony-";

/// Removes them in the background. A process that cannot start a thread leaves them to another boot.
pub(super) fn remove_beside(temporary_folder: PathBuf) {
    let removing = move || {
        if let Err(error) = remove_all(&temporary_folder) {
            let path = temporary_folder.display();
            tracing::debug!(target: "symphony.boot", %path, %error, "abandoned folders were not looked for");
        }
    };
    let started = std::thread::Builder::new().name("symphony-tidy".to_owned()).spawn(removing);
    if let Err(error) = started {
        tracing::debug!(target: "symphony.boot", %error, "abandoned folders were not looked for");
    }
}

fn remove_all(temporary_folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(temporary_folder)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(is_of_a_dead_process) {
            continue;
        }
        let path = entry.path();
        match remove(&path) {
            Ok(true) => {
                let path = path.display();
                tracing::info!(target: "symphony.boot", %path, "the state of a system that was killed is removed");
            }
            Ok(false) => {}
            Err(error) => {
                let path = path.display();
                tracing::debug!(target: "symphony.boot", %path, %error, "an abandoned folder stays");
            }
        }
    }
    Ok(())
}

/// Whether a name is that of a temporary state folder whose process is gone.
fn is_of_a_dead_process(name: &str) -> bool {
    let Some((process, unique)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'))
    else {
        return false;
    };
    let number = process.parse().ok().filter(|_| u64::from_str_radix(unique, 16).is_ok());
    // One that may not be asked is there, and another's.
    number
        .and_then(Pid::from_raw)
        .is_some_and(|process| test_kill_process(process) == Err(rustix::io::Errno::SRCH))
}

/// Removes one, unless somebody holds a lock of it (a process of another container, which has numbers of its own).
fn remove(path: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() || found.uid() != getuid().as_raw() {
        return Ok(false);
    }
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let lock =
        OpenOptions::new().read(true).write(true).custom_flags(no_link).open(path.join("lock"))?;
    let folder = File::open(path)?;
    let is_free = |file: &File| flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
    if !is_free(&lock) || !is_free(&folder) {
        return Ok(false);
    }
    remove_tree(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use rustix::fs::{FlockOperation, flock};

    use super::{is_of_a_dead_process, remove_all};

    /// The number of a process that has ended.
    fn dead() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn a_name_says_whose_it_is() {
        let dead = dead();
        assert!(is_of_a_dead_process(&format!("symphony-{dead}-1f")));
        let own = std::process::id();
        for name in [
            format!("symphony-{own}-1f"),
            format!("symphony-{dead}"),
            format!("symphony-{dead}-"),
            format!("symphony-{dead}-notes"),
            format!("my-symphony-{dead}-1f"),
            "symphony-0-1f".to_owned(),
            "symphony--1-1f".to_owned(),
            "symphony-1-1f".to_owned(),
        ] {
            assert!(!is_of_a_dead_process(&name), "{name}");
        }
    }

    #[test]
    fn what_a_killed_system_left_goes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let dead = dead();
        let make = |name: &str, lock: bool| {
            let path = place.path().join(name);
            fs::create_dir_all(path.join("artifact-store")).unwrap();
            if lock {
                fs::write(path.join("lock"), b"1").unwrap();
            }
            path
        };
        let gone = make(&format!("symphony-{dead}-1"), true);
        let no_lock = make(&format!("symphony-{dead}-2"), false);
        let held = make(&format!("symphony-{dead}-3"), true);
        let folder_held = make(&format!("symphony-{dead}-4"), true);
        let alive = make(&format!("symphony-{}-5", std::process::id()), true);
        let target = make("elsewhere", true);
        let link = place.path().join(format!("symphony-{dead}-6"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let linked_lock = make(&format!("symphony-{dead}-7"), false);
        std::os::unix::fs::symlink(target.join("lock"), linked_lock.join("lock")).unwrap();
        let locks = [File::open(held.join("lock")).unwrap(), File::open(&folder_held).unwrap()];
        for lock in &locks {
            flock(lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        }
        remove_all(place.path()).unwrap();
        assert!(!gone.exists());
        for path in [no_lock, held, folder_held, alive, target, link, linked_lock] {
            assert!(path.exists(), "{}", path.display());
        }
    }
}
