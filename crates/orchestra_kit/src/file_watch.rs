//! Which files below some folders were changed: for `symphony dev`, which restarts extensions by it.
//!
//! Made and asked by one thread of the command line, through `symphony_py`; nothing else waits here, and no thread is
//! started. Invariants: an editor's way of writing (a temporary file and a rename, a write in several steps) is one change
//! of the file that people name; what tools write beside sources is none.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use component::{Code, Hint};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;

/// Quiet for so long, and what was changed is told: editors need less between the steps of one save.
const QUIET: Duration = Duration::from_millis(12);
/// A file that is written without an end is told after so long.
const LONGEST: Duration = Duration::from_millis(100);
/// How deep folders are watched.
const DEEPEST: usize = 12;
/// Folders of what others made, and of what is derived.
const FOREIGN: &[&str] = &["__pycache__", "node_modules", "target", "venv", "site-packages"];

const WANTED: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR);

/// Why folders cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be watched", folder.display())]
pub struct WatchError {
    /// The folder.
    pub folder: PathBuf,
    /// What the kernel said.
    #[source]
    pub source: Errno,
}

impl Hint for WatchError {
    fn code(&self) -> Code {
        Code::INTERNAL
    }

    fn hints(&self) -> Vec<String> {
        match self.source {
            Errno::NOSPC | Errno::MFILE => vec![
                "too much is watched already: raise `fs.inotify.max_user_watches` and `max_user_instances`"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

/// Some folders, watched with all that is below them.
#[derive(Debug)]
pub struct FileWatch {
    inotify: OwnedFd,
    folders: HashMap<i32, Watched>,
    roots: Vec<PathBuf>,
}

/// One folder, and what of it is of interest.
#[derive(Debug)]
struct Watched {
    folder: PathBuf,
    depth: usize,
    /// Everything of interest, with all that is below.
    whole: bool,
    /// Files that are named, whatever their names are.
    files: BTreeSet<OsString>,
}

impl FileWatch {
    /// Begins to watch folders, and single files wherever they lie. What does not exist is left out.
    ///
    /// # Errors
    /// The kernel watches no more.
    pub fn new(roots: &[PathBuf]) -> Result<Self, WatchError> {
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|source| {
            WatchError { folder: roots.first().cloned().unwrap_or_default(), source }
        })?;
        let mut watch = Self { inotify, folders: HashMap::new(), roots: roots.to_vec() };
        for root in roots {
            if root.is_dir() {
                watch.add(root, 0, &mut BTreeSet::new())?;
            } else {
                watch.add_file(root)?;
            }
        }
        Ok(watch)
    }

    /// Waits until something was changed and it is quiet again, or the time is over.
    ///
    /// # Errors
    /// A new folder cannot be watched, or the kernel fails.
    pub fn next(&mut self, timeout: Duration) -> Result<Vec<PathBuf>, WatchError> {
        let mut changed = BTreeSet::new();
        if !self.wait(timeout)? {
            return Ok(Vec::new());
        }
        let end = Instant::now() + LONGEST;
        loop {
            self.read(&mut changed)?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.wait(QUIET.min(left))? {
                return Ok(changed.into_iter().collect());
            }
        }
    }

    fn wait(&self, timeout: Duration) -> Result<bool, WatchError> {
        let timeout = Timespec::try_from(timeout).ok();
        match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], timeout.as_ref()) {
            Ok(count) => Ok(count > 0),
            Err(Errno::INTR) => Ok(false),
            Err(source) => Err(self.failed(source)),
        }
    }

    fn read(&mut self, changed: &mut BTreeSet<PathBuf>) -> Result<(), WatchError> {
        let mut events = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    events.push((event.wd(), event.events(), name.map(OsStr::to_owned)));
                }
                Err(Errno::WOULDBLOCK) => break,
                Err(Errno::INTR) => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
        for (watch, what, name) in events {
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                // What was lost may be anything.
                changed.extend(self.roots.iter().cloned());
            }
            if what.contains(ReadFlags::IGNORED) {
                self.folders.remove(&watch);
            }
            let (Some(watched), Some(name)) = (self.folders.get(&watch), name) else {
                continue;
            };
            let (path, depth, whole) = (watched.folder.join(&name), watched.depth, watched.whole);
            // A file that was only made says nothing yet: its writer closes it. A link is never written to.
            let is_written = what != ReadFlags::CREATE || is_link(&path);
            if watched.files.contains(&name) && is_written {
                changed.insert(path.clone());
            }
            if !whole {
                continue;
            }
            if what.contains(ReadFlags::ISDIR) {
                if what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                    if is_of_interest_as_folder(&name) {
                        self.add(&path, depth + 1, changed)?;
                    }
                } else if is_of_interest_as_folder(&name) {
                    changed.insert(path);
                }
            } else if is_of_interest(&name) && is_written {
                changed.insert(path);
            }
        }
        Ok(())
    }

    /// Watches a folder and those in it; files in one that is new are changed ones.
    fn add(
        &mut self,
        folder: &Path,
        depth: usize,
        changed: &mut BTreeSet<PathBuf>,
    ) -> Result<(), WatchError> {
        let Some(watched) = self.watched(folder)? else { return Ok(()) };
        watched.depth = depth;
        watched.whole = true;
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
        for entry in entries.filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEEPEST && is_of_interest_as_folder(&name) => {
                    self.add(&path, depth + 1, changed)?;
                }
                Ok(kind) if !kind.is_dir() && is_of_interest(&name) => {
                    changed.insert(path);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Watches the folder of a file for that file.
    fn add_file(&mut self, file: &Path) -> Result<(), WatchError> {
        let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Ok(()) };
        if let Some(watched) = self.watched(folder)? {
            watched.files.insert(name.to_owned());
        }
        Ok(())
    }

    /// The folder as it is watched, perhaps from now on; none where it is gone again, or no folder any more.
    fn watched(&mut self, folder: &Path) -> Result<Option<&mut Watched>, WatchError> {
        match add_watch(&self.inotify, folder, WANTED) {
            Ok(watch) => Ok(Some(self.folders.entry(watch).or_insert_with(|| Watched {
                folder: folder.to_owned(),
                depth: 0,
                whole: false,
                files: BTreeSet::new(),
            }))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(None),
            Err(source) => Err(WatchError { folder: folder.to_owned(), source }),
        }
    }

    fn failed(&self, source: Errno) -> WatchError {
        WatchError { folder: self.roots.first().cloned().unwrap_or_default(), source }
    }
}

/// Whether what was only made is whole already: a link, or another name of a file.
fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink() || about.nlink() > 1)
}

/// Whether people mean a file of that name: no hidden one, none that an editor or an interpreter keeps beside it.
fn is_of_interest(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let swapped = Path::new(&*name).extension().and_then(OsStr::to_str).is_some_and(|kind| {
        matches!(
            kind,
            "pyc" | "pyo" | "swp" | "swo" | "swx" | "tmp" | "temp" | "bak" | "part" | "orig"
        )
    });
    let numbers = name.chars().all(|letter| letter.is_ascii_digit());
    !(name.starts_with(['.', '#'])
        || name.ends_with(['~', '#'])
        // PyCharm's, before its rename; what vim tries out a folder with.
        || name.contains("___jb_")
        || swapped
        || numbers)
}

fn is_of_interest_as_folder(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    !name.starts_with('.') && !FOREIGN.contains(&&*name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::FileWatch;

    const SOON: Duration = Duration::from_secs(5);

    fn names(watch: &mut FileWatch, wait: Duration) -> Vec<String> {
        let changed = watch.next(wait).unwrap();
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        changed.iter().map(name).collect()
    }

    #[test]
    fn a_save_is_one_change_however_the_editor_does_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("code.py");
        fs::write(&file, "1").unwrap();
        let mut watch = FileWatch::new(&[folder.path().to_owned()]).unwrap();
        fs::write(&file, "2").unwrap();
        assert_eq!(names(&mut watch, SOON), ["code.py"]);
        // By a rename, with a back-up and a probe, as vim does it.
        fs::write(folder.path().join("4913"), "").unwrap();
        fs::remove_file(folder.path().join("4913")).unwrap();
        fs::rename(&file, folder.path().join("code.py~")).unwrap();
        fs::write(folder.path().join(".code.py.swp"), "3").unwrap();
        fs::rename(folder.path().join(".code.py.swp"), &file).unwrap();
        assert_eq!(names(&mut watch, SOON), ["code.py"]);
        assert_eq!(names(&mut watch, Duration::from_millis(150)), [""; 0]);
    }

    #[test]
    fn a_file_that_is_named_is_watched_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("target/debug");
        fs::create_dir_all(&place).unwrap();
        let mut watch = FileWatch::new(&[folder.path().to_owned(), place.join("program")]).unwrap();
        fs::write(place.join("other"), "1").unwrap();
        assert_eq!(names(&mut watch, Duration::from_millis(150)), [""; 0]);
        // As cargo does it: another name of a file that is whole.
        fs::hard_link(place.join("other"), place.join("program")).unwrap();
        assert_eq!(names(&mut watch, SOON), ["program"]);
    }

    #[test]
    fn what_tools_write_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["__pycache__", ".git"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut watch = FileWatch::new(&[folder.path().to_owned()]).unwrap();
        for name in
            ["__pycache__/code.pyc", ".git/index", "code.py~", "#code.py#", ".hidden", "4913"]
        {
            fs::write(folder.path().join(name), "1").unwrap();
        }
        assert_eq!(names(&mut watch, Duration::from_millis(150)), [""; 0]);
    }

    #[test]
    fn a_new_folder_is_watched_with_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = FileWatch::new(&[folder.path().to_owned(), "/nowhere".into()]).unwrap();
        let inside = folder.path().join("new/deep");
        fs::create_dir_all(&inside).unwrap();
        fs::write(inside.join("first.py"), "1").unwrap();
        assert_eq!(names(&mut watch, SOON), ["first.py"]);
        fs::write(inside.join("second.py"), "1").unwrap();
        assert_eq!(names(&mut watch, SOON), ["second.py"]);
        fs::remove_file(inside.join("second.py")).unwrap();
        assert_eq!(names(&mut watch, SOON), ["second.py"]);
    }
}
