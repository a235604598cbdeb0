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
use rustix::fs::inotify::{
    CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch,
};
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
    /// Roots that were watched and went away: they may come back.
    lost: BTreeSet<PathBuf>,
    /// Why something is not watched, until it is told: after what was changed meanwhile.
    failure: Option<WatchError>,
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
        let mut watch = Self {
            inotify,
            folders: HashMap::new(),
            roots: roots.to_vec(),
            lost: BTreeSet::new(),
            failure: None,
        };
        for root in roots {
            watch.add_root(root, &mut BTreeSet::new());
        }
        watch.failure.take().map_or(Ok(watch), Err)
    }

    /// Waits until something was changed and it is quiet again, or the time is over.
    ///
    /// # Errors
    /// A new folder cannot be watched, or the kernel fails.
    pub fn next(&mut self, timeout: Duration) -> Result<Vec<PathBuf>, WatchError> {
        let mut changed = BTreeSet::new();
        self.find_lost(&mut changed);
        if changed.is_empty() {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if !self.wait(timeout)? {
                return Ok(Vec::new());
            }
        }
        let end = Instant::now() + LONGEST;
        loop {
            self.read(&mut changed)?;
            self.find_lost(&mut changed);
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.wait(QUIET.min(left))? {
                break;
            }
        }
        match self.failure.take() {
            Some(failure) if changed.is_empty() => Err(failure),
            failure => {
                self.failure = failure;
                Ok(changed.into_iter().collect())
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
                self.begin_anew(changed);
            }
            if what.contains(ReadFlags::IGNORED)
                && let Some(gone) = self.folders.remove(&watch)
            {
                self.lose(&gone);
            }
            let (Some(watched), Some(name)) = (self.folders.get(&watch), name) else {
                continue;
            };
            let (path, depth, whole) = (watched.folder.join(&name), watched.depth, watched.whole);
            // A file that was only made says nothing yet: its writer closes it. A link is never written to.
            let is_written = what != ReadFlags::CREATE || is_link(&path);
            if watched.files.contains(&name) && is_written {
                changed.insert(path.clone());
                let is_folder = what.contains(ReadFlags::ISDIR);
                if is_folder && what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                    // A root that was not there.
                    self.add(&path, 0, changed);
                }
            }
            if !whole {
                continue;
            }
            if what.contains(ReadFlags::ISDIR) {
                if what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                    if is_of_interest_as_folder(&name) {
                        self.add(&path, depth + 1, changed);
                    }
                } else if is_of_interest_as_folder(&name) {
                    if what.contains(ReadFlags::MOVED_FROM) {
                        self.forget(&path);
                    }
                    changed.insert(path);
                }
            } else if is_of_interest(&name) && is_written {
                changed.insert(path);
            }
        }
        Ok(())
    }

    /// Watches a folder and those in it; files in one that is new are changed ones.
    fn add(&mut self, folder: &Path, depth: usize, changed: &mut BTreeSet<PathBuf>) {
        match self.watched(folder) {
            Ok(None) => return,
            Ok(Some(watched)) => {
                // It may have been watched under the name that it had before.
                folder.clone_into(&mut watched.folder);
                watched.depth = depth;
                watched.whole = true;
            }
            // What is in it was changed all the same, and is told before this.
            Err(failure) => self.fail(failure),
        }
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEEPEST && is_of_interest_as_folder(&name) => {
                    self.add(&path, depth + 1, changed);
                }
                Ok(kind) if !kind.is_dir() && is_of_interest(&name) => {
                    changed.insert(path);
                }
                _ => {}
            }
        }
    }

    /// Watches a root; whether it is there to be watched.
    fn add_root(&mut self, root: &Path, changed: &mut BTreeSet<PathBuf>) -> bool {
        if root.is_dir() {
            self.add(root, 0, changed);
            return true;
        }
        // The folder of a file, for that file.
        let (Some(folder), Some(name)) = (root.parent(), root.file_name()) else { return false };
        match self.watched(folder) {
            Ok(Some(watched)) => {
                watched.files.insert(name.to_owned());
                if root.is_dir() {
                    // It came between the two looks.
                    self.add(root, 0, changed);
                } else if root.exists() {
                    changed.insert(root.to_owned());
                }
                true
            }
            Ok(None) => false,
            Err(failure) => {
                self.fail(failure);
                true
            }
        }
    }

    /// After events were lost: what changed may be anything, and folders may have other names, or be new.
    fn begin_anew(&mut self, changed: &mut BTreeSet<PathBuf>) {
        changed.extend(self.roots.iter().cloned());
        for (watch, gone) in std::mem::take(&mut self.folders) {
            // One whose folder is gone is none any more.
            let _ = remove_watch(&self.inotify, watch);
            self.lose(&gone);
        }
        self.find_lost(&mut BTreeSet::new());
    }

    /// Watches no more what lay below a folder that has another place now.
    fn forget(&mut self, folder: &Path) {
        let below = self.folders.extract_if(|_, watched| watched.folder.starts_with(folder));
        for (watch, gone) in below.collect::<Vec<_>>() {
            let _ = remove_watch(&self.inotify, watch);
            self.lose(&gone);
        }
    }

    /// Remembers the roots that a folder that is watched no more stood for.
    fn lose(&mut self, gone: &Watched) {
        let is_there = |root: &&PathBuf| {
            **root == gone.folder
                || root.parent() == Some(&gone.folder)
                    && root.file_name().is_some_and(|name| gone.files.contains(name))
        };
        self.lost.extend(self.roots.iter().filter(is_there).cloned());
    }

    /// Watches roots again that came back; what is in them is changed.
    fn find_lost(&mut self, changed: &mut BTreeSet<PathBuf>) {
        for root in std::mem::take(&mut self.lost) {
            if !self.add_root(&root, changed) {
                self.lost.insert(root);
            }
        }
    }

    fn fail(&mut self, failure: WatchError) {
        self.failure.get_or_insert(failure);
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

    #[test]
    fn a_folder_that_is_moved_is_watched_by_its_new_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("pkg/deep")).unwrap();
        let mut watch = FileWatch::new(&[folder.path().to_owned()]).unwrap();
        fs::rename(path("pkg"), path("lib")).unwrap();
        assert_eq!(watch.next(SOON).unwrap(), [path("pkg")]);
        fs::write(path("lib/deep/code.py"), "1").unwrap();
        assert_eq!(watch.next(SOON).unwrap(), [path("lib/deep/code.py")]);
        // Out of it: nothing there is of interest any more.
        let outside = tempfile::tempdir().unwrap();
        fs::rename(path("lib"), outside.path().join("lib")).unwrap();
        assert_eq!(watch.next(SOON).unwrap(), [path("lib")]);
        fs::write(outside.path().join("lib/deep/code.py"), "2").unwrap();
        assert_eq!(names(&mut watch, Duration::from_millis(150)), [""; 0]);
    }

    #[test]
    fn a_root_that_comes_back_is_watched_again() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let named = folder.path().join("built/target/program");
        let begin = || {
            fs::create_dir(&root).unwrap();
            fs::create_dir_all(named.parent().unwrap()).unwrap();
        };
        begin();
        let mut watch = FileWatch::new(&[root.clone(), named.clone()]).unwrap();
        for way in 0..2 {
            fs::remove_dir_all(&root).unwrap();
            fs::remove_dir_all(named.parent().unwrap()).unwrap();
            if way == 1 {
                watch.next(Duration::from_millis(50)).unwrap();
            }
            begin();
            watch.next(Duration::from_millis(50)).unwrap();
            fs::write(root.join("code.py"), "1").unwrap();
            assert_eq!(watch.next(SOON).unwrap(), [root.join("code.py")]);
            fs::write(&named, "1").unwrap();
            assert_eq!(watch.next(SOON).unwrap(), std::slice::from_ref(&named));
        }
    }

    #[test]
    fn after_events_were_lost_everything_is_watched_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("pkg")).unwrap();
        let mut watch = FileWatch::new(&[folder.path().to_owned()]).unwrap();
        // Nobody read of this, and nobody reads of what comes after it.
        fs::rename(path("pkg"), path("lib")).unwrap();
        fs::create_dir(path("new")).unwrap();
        let mut changed = std::collections::BTreeSet::new();
        watch.begin_anew(&mut changed);
        assert!(changed.contains(folder.path()), "{changed:?}");
        watch.next(Duration::from_millis(50)).unwrap();
        for name in ["lib/code.py", "new/code.py"] {
            fs::write(path(name), "1").unwrap();
            assert_eq!(watch.next(SOON).unwrap(), [path(name)]);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_watched_is_told_after_what_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let long = "a".repeat(240);
        let deep = |count: usize| (0..count).map(|_| &*long).collect::<PathBuf>();
        let root = folder.path().join(deep(6));
        fs::create_dir_all(&root).unwrap();
        let mut watch = FileWatch::new(std::slice::from_ref(&root)).unwrap();
        // Where it is moved to, its name is longer than the kernel takes.
        fs::create_dir_all(folder.path().join("new").join(deep(11))).unwrap();
        fs::write(root.join("code.py"), "1").unwrap();
        fs::rename(folder.path().join("new"), root.join("new")).unwrap();
        fs::write(root.join("more.py"), "1").unwrap();
        assert_eq!(names(&mut watch, SOON), ["code.py", "more.py"]);
        assert!(watch.next(Duration::from_millis(50)).is_err());
        fs::write(root.join("code.py"), "2").unwrap();
        assert_eq!(names(&mut watch, SOON), ["code.py"]);
    }
}
