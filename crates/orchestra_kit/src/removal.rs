//! Removes what an extension may have made: a tree as deep, as wide and as closed as anybody can make one.
//!
//! Called for the temporary folders of runs, and by `boot_orchestrator` for temporary states, which hold them. Invariant: stack and
//! descriptors do not grow with the tree. `std::fs::remove_dir_all` takes one descriptor and one frame for each level, so
//! that a tree of 15,000 levels, which takes a guest 0.1 s to make, ends the process that removes it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, chmod, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;

const ONLY_A_FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a folder and all that is in it. Nothing that a link names is touched, and folders that deny it are opened up first.
///
/// A folder within is emptied into the one that is removed, so that each is one level below it when its turn comes.
///
/// # Errors
/// The first refusal, when all that can be removed is. What is not there is no error.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let top = match opened(CWD, path) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut removal = Removal { top: &top, raised: 0, first: None };
    while removal.pass()? {}
    match (removal.first, unlinkat(CWD, path, AtFlags::REMOVEDIR)) {
        (_, Ok(()) | Err(Errno::NOENT)) => Ok(()),
        (Some(first), Err(_)) => Err(first.into()),
        (None, Err(error)) => Err(error.into()),
    }
}

struct Removal<'a> {
    top: &'a OwnedFd,
    /// How many folders were put into the top one so far, by which the next is named.
    raised: u64,
    /// Why something stays.
    first: Option<Errno>,
}

impl Removal<'_> {
    /// Goes over what is in the top folder; whether anything is gone, or nearer to the top, so that another is worth it.
    fn pass(&mut self) -> io::Result<bool> {
        self.first = None;
        let mut is_better = false;
        for entry in Dir::read_from(self.top)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_itself(name) {
                continue;
            }
            let gone = match unlinkat(self.top, name, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) => self.remove_folder(name, &mut is_better),
                gone => gone,
            };
            match gone {
                Ok(()) => is_better = true,
                Err(Errno::NOENT) => {}
                Err(error) => self.first = self.first.or(Some(error)),
            }
        }
        Ok(is_better)
    }

    /// Removes a folder of the top one, whose own folders come into the top one.
    fn remove_folder(&mut self, name: &CStr, is_better: &mut bool) -> Result<(), Errno> {
        let folder = opened(self.top, name)?;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let within = entry.file_name();
            if is_itself(within) {
                continue;
            }
            let gone = match unlinkat(&folder, within, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) => self.raise(folder.as_fd(), within),
                gone => gone,
            };
            match gone {
                Ok(()) => *is_better = true,
                Err(Errno::NOENT) => {}
                Err(error) => self.first = self.first.or(Some(error)),
            }
        }
        unlinkat(self.top, name, AtFlags::REMOVEDIR)
    }

    fn raise(&mut self, folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        // Empty ones, the most of them, have not to be moved.
        if unlinkat(folder, name, AtFlags::REMOVEDIR).is_ok() {
            return Ok(());
        }
        loop {
            let raised = format!("removed-{}", self.raised);
            self.raised += 1;
            let moved = match renameat(folder, name, self.top, &*raised) {
                // A folder that may not be written to cannot be moved either: its `..` is in it.
                Err(Errno::ACCESS) => {
                    opened(folder, name)?;
                    renameat(folder, name, self.top, &*raised)
                }
                moved => moved,
            };
            match moved {
                // Something has that name.
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                moved => return moved,
            }
        }
    }
}

fn is_itself(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// A folder in which its owner may read, look and write, which it is made if need be. No link is followed.
fn opened(parent: impl AsFd, name: impl rustix::path::Arg + Copy) -> Result<OwnedFd, Errno> {
    // What may not be read can be held by its path alone, and is then named by that.
    let held = openat(&parent, name, OFlags::PATH | ONLY_A_FOLDER, Mode::empty())?;
    let mode = Mode::from_raw_mode(fstat(&held)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), mode | Mode::RWXU)?;
    }
    openat(&held, ".", OFlags::RDONLY | ONLY_A_FOLDER, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

    use super::{opened, remove_tree};

    fn close(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_tree_is_removed_however_deep_and_wide_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut at = openat(CWD, &tree, OFlags::RDONLY, Mode::empty()).unwrap();
        for level in 0..3_000 {
            // Also names that the removal gives itself.
            let name = CString::new(format!("removed-{}", level % 7)).unwrap();
            for other in ["file", "removed-9"].into_iter().filter(|_| level % 50 == 0) {
                let made = OFlags::CREATE | OFlags::WRONLY;
                drop(openat(&at, other, made, Mode::RUSR).unwrap());
            }
            mkdirat(&at, &name, Mode::RWXU).unwrap();
            at = openat(&at, &name, OFlags::RDONLY, Mode::empty()).unwrap();
        }
        for number in 0..300 {
            fs::create_dir_all(tree.join(format!("wide/{number}/a"))).unwrap();
        }
        // On a small stack, whatever thread it is.
        let removed = std::thread::Builder::new().stack_size(64 << 10);
        let path = tree.clone();
        removed.spawn(move || remove_tree(&path)).unwrap().join().unwrap().unwrap();
        assert!(!tree.exists());
        remove_tree(&tree).unwrap();
    }

    #[test]
    fn nothing_that_a_link_names_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, other) = (folder.path().join("tree"), folder.path().join("other"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "x").unwrap();
        symlink(&other, tree.join("link")).unwrap();
        symlink(&other, tree.join("a/link")).unwrap();
        symlink(&other, tree.join("a/b/link")).unwrap();
        close(&other, 0o500);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && other.join("kept").exists());
        assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o500);
        symlink(&other, &tree).unwrap();
        remove_tree(&tree).unwrap_err();
        assert!(other.join("kept").exists());
    }

    /// For root no folder is closed: what matters to everybody else is what a folder's mode is.
    #[test]
    fn a_folder_that_denies_it_is_opened_up() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o000, 0o500, 0o300, 0o755] {
            let path = folder.path().join(format!("{mode}"));
            fs::create_dir_all(path.join("within/file")).unwrap();
            close(&path, mode);
            drop(opened(CWD, &path).unwrap());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode | 0o700);
            close(&path.join("within"), mode);
            close(&path, mode);
            remove_tree(&path).unwrap();
            assert!(!path.exists());
        }
    }
}
