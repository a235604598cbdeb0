//! The record of boots in the state folder: which failed in a row, and what was starting when they did.
//!
//! Read by `left_out` when a system is opened; written by the state's start and by `watch`, while the state's lock is held. One
//! file of JSON lines: what was before, then what happens in this boot, each line by one `write`, so that a boot that was
//! killed tells as much as one that failed. Whoever writes it holds its lock: a boot that still runs has not failed.
//! Invariant: the record is advice; whatever lies in its place, and whatever cannot be read or written, costs no boot.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use serde::{Deserialize, Serialize};

/// Its name in the state folder.
const NAME: &str = "boots";
/// More failed boots are not remembered: the first of them tell nothing new.
const REMEMBERED: usize = 8;
/// No record is larger; what is was not written by this.
const LARGEST: u64 = 1024 * 1024;

/// Of an error so many characters are written down: it is there for each of the components that are left out because of it.
const TOLD: usize = 300;

/// Now, in seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Which boots of a record are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// Not the last one, where it still runs.
    WhereItEnded,
    /// The last one, too: the state's lock is held, so it cannot run any more.
    Always,
}

/// Something that was starting when a boot failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Suspect {
    /// The component's name.
    pub(super) name: String,
    /// The file that defines it, where it is no extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<PathBuf>,
}

/// A boot that failed, or never said how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FailedBoot {
    /// When it began, in seconds since 1970.
    pub(super) begun: f64,
    /// What failed in it; where it was killed, what was starting.
    pub(super) suspects: Vec<Suspect>,
    /// What it failed with; none where it was killed.
    pub(super) error: Option<String>,
}

/// What boots leave out until it changes, or a whole boot succeeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Omitted {
    pub(super) suspect: Suspect,
    /// When the last boot began that failed with it, in seconds since 1970.
    pub(super) since: f64,
    /// Why, for people.
    pub(super) reason: String,
}

/// What is known of earlier boots of one state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct BootHistory {
    /// Those that failed in a row since something was last left out, oldest first.
    pub(super) failed: Vec<FailedBoot>,
    pub(super) omitted: Vec<Omitted>,
}

/// What happens in a boot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// It began, at so many seconds since 1970.
    Begun(f64),
    /// This is about to start.
    Starting(Suspect),
    /// It is up, or the boot goes on without it.
    Settled(String),
    /// It is what the boot fails with.
    Failing(Suspect),
    /// The boot fails, with this error; made by `failed`.
    Failed(String),
    /// The boot ends because somebody wants it to.
    Interrupted,
}

impl Line {
    /// The boot fails, with this error: an extension's may be of any length, and a record is not.
    pub(super) fn failed(error: &str) -> Self {
        Self::Failed(match error.char_indices().nth(TOLD) {
            Some((end, _)) => format!("{}…", &error[..end]),
            None => error.to_owned(),
        })
    }
}

impl BootHistory {
    /// Reads the record of a state folder; nothing where there is none, or none that can be read.
    pub(super) fn read(folder: &Path, last: Last) -> Self {
        let path = folder.join(NAME);
        match contents(&path) {
            Ok((text, runs)) => Self::of(&text, last == Last::Always || !runs),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    told("read", &path, &error);
                }
                Self::default()
            }
        }
    }

    /// Earlier boots, and the one that the record ends with, where that has ended and counts. A line that is not whole says
    /// nothing.
    fn of(text: &str, ended: bool) -> Self {
        let mut lines = text.lines();
        let mut history: Self =
            lines.next().and_then(|first| serde_json::from_str(first).ok()).unwrap_or_default();
        let mut begun = None;
        let (mut starting, mut failing): (Vec<Suspect>, Vec<Suspect>) = (Vec::new(), Vec::new());
        let mut error = None;
        for line in lines.filter_map(|line| serde_json::from_str(line).ok()) {
            match line {
                Line::Begun(at) => begun = Some(at),
                Line::Starting(one) => starting.push(one),
                Line::Settled(name) => starting.retain(|one| one.name != name),
                Line::Failing(one) => failing.push(one),
                Line::Failed(text) => error = Some(text),
                Line::Interrupted => return history,
            }
        }
        // One that was killed cannot say which of them it was.
        let suspects = if error.is_some() { failing } else { starting };
        // Where nothing is suspected, nothing that could be left out would have helped.
        if let Some(begun) = begun.filter(|_| ended && !suspects.is_empty()) {
            history.failed.push(FailedBoot { begun, suspects, error });
            let surplus = history.failed.len().saturating_sub(REMEMBERED);
            history.failed.drain(..surplus);
        }
        history
    }
}

/// What a record says, and whether a boot still writes it. Nothing but a file of ours is waited for or followed.
fn contents(path: &Path) -> io::Result<(String, bool)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if !found.is_file() || found.len() > LARGEST {
        return Err(io::Error::other("it is not what a boot writes"));
    }
    let mut text = String::new();
    (&file).take(LARGEST).read_to_string(&mut text)?;
    // Where files cannot be locked, nobody seems to write.
    let runs = matches!(
        flock(&file, FlockOperation::NonBlockingLockShared),
        Err(rustix::io::Errno::WOULDBLOCK)
    );
    Ok((text, runs))
}

/// The record of the boot that runs.
pub(in crate::system) struct BootRecord {
    folder: PathBuf,
    /// What was read when the system was opened, and what it decided of that; none where a failure does not count.
    histories: Option<(BootHistory, BootHistory)>,
    /// What it really leaves out; where that is nothing, its success ends safe mode.
    left_out: Mutex<Vec<Omitted>>,
    /// From the moment at which the state is this boot's own until it has ended.
    runs: AtomicBool,
    file: Mutex<Option<File>>,
    excused: Mutex<BTreeSet<String>>,
}

impl BootRecord {
    /// A record that is not written yet.
    pub(super) fn new(folder: PathBuf, read: BootHistory, decided: BootHistory) -> Self {
        Self { histories: Some((read, decided)), ..Self::of_all(folder) }
    }

    /// That of a boot that starts everything whatever was: its success ends safe mode, its failure changes nothing.
    pub(super) fn of_all(folder: PathBuf) -> Self {
        Self {
            folder,
            histories: None,
            left_out: Mutex::default(),
            runs: AtomicBool::new(false),
            file: Mutex::default(),
            excused: Mutex::default(),
        }
    }

    /// Of what was decided the boot leaves this out; the rest is not in it, or it needs that by now.
    pub(super) fn leaves_out(&self, omitted: Vec<Omitted>) {
        *self.left_out.lock() = omitted;
    }

    /// The boot begins: from now on it counts as failed until it says otherwise. To be called with the state's lock held.
    pub(in crate::system) fn begin(&self) {
        self.runs.store(true, Ordering::Relaxed);
        let Some((read, decided)) = &self.histories else { return };
        // Another boot may have come in between.
        let before = BootHistory::read(&self.folder, Last::Always);
        let before = if before == *read { decided } else { &before };
        match self.rewrite(before, &[Line::Begun(now())]) {
            Ok(file) => *self.file.lock() = Some(file),
            Err(error) => told("written", &self.folder.join(NAME), &error),
        }
    }

    /// Adds what happens.
    pub(super) fn tell(&self, line: &Line) {
        let mut file = self.file.lock();
        let Some(open) = file.as_mut() else { return };
        let text = serde_json::to_vec(line).map_err(io::Error::other);
        let written = text.and_then(|mut text| {
            text.push(b'\n');
            open.write_all(&text)
        });
        if let Err(error) = written {
            // Said once: what follows would tell half of it.
            *file = None;
            drop(file);
            told("written", &self.folder.join(NAME), &error);
        }
    }

    /// The boot has failed or was interrupted, as `line` says: nothing more is written.
    pub(super) fn end(&self, line: &Line) {
        self.tell(line);
        *self.file.lock() = None;
        self.runs.store(false, Ordering::Relaxed);
    }

    /// The boot has succeeded: no failure of before counts any more. What it left out stays left out for the next.
    pub(super) fn clear(&self) {
        *self.file.lock() = None;
        if !self.runs.swap(false, Ordering::Relaxed) {
            return;
        }
        let omitted = std::mem::take(&mut *self.left_out.lock());
        let kept = (!omitted.is_empty())
            .then(|| self.rewrite(&BootHistory { failed: Vec::new(), omitted }, &[]).map(drop));
        let path = self.folder.join(NAME);
        // One that cannot be written anew would tell of a failure that was none.
        if let Some(Err(error)) = &kept {
            told("written", &path, error);
        }
        let removed = if matches!(kept, Some(Ok(()))) { Ok(()) } else { fs::remove_file(&path) };
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            told("removed", &path, &error);
        }
    }

    /// Its descriptor, by which it is locked. To be asked in a forked child: what another thread of the parent held locked is
    /// left out.
    pub(in crate::system) fn descriptor(&self) -> Option<RawFd> {
        self.file.try_lock().as_deref().and_then(Option::as_ref).map(File::as_raw_fd)
    }

    /// This one may fail, and it is no fault of its own: the machine is short of something.
    pub(in crate::system) fn excuse(&self, name: &str) {
        self.excused.lock().insert(name.to_owned());
    }

    /// Whether that was said of it.
    pub(super) fn is_excused(&self, name: &str) -> bool {
        self.excused.lock().contains(name)
    }

    /// Puts another file in the record's place, at once and whole, and holds its lock.
    fn rewrite(&self, history: &BootHistory, lines: &[Line]) -> io::Result<File> {
        let mut text = serde_json::to_vec(history).map_err(io::Error::other)?;
        for line in lines {
            text.push(b'\n');
            serde_json::to_writer(&mut text, line).map_err(io::Error::other)?;
        }
        text.push(b'\n');
        let new = self.folder.join(format!("{NAME}.new"));
        // Made anew: what was left there may be a link to anything.
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
        // Where files cannot be locked, a boot that runs looks to others like one that was killed.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        let written = file.write_all(&text).and_then(|()| fs::rename(&new, self.folder.join(NAME)));
        if written.is_err() {
            // What it met is what is told.
            let _ = fs::remove_file(&new);
        }
        written.map(|()| file)
    }
}

fn told(what: &str, path: &Path, error: &io::Error) {
    let path = path.display();
    tracing::warn!(target: "symphony.boot", %path, %error, "the record of boots cannot be {what}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{BootHistory, BootRecord, Last, Line, NAME, REMEMBERED, Suspect};

    fn suspect(name: &str) -> Suspect {
        Suspect { name: name.to_owned(), file: None }
    }

    fn begun(folder: &Path) -> BootRecord {
        let read = BootHistory::read(folder, Last::WhereItEnded);
        let record = BootRecord::new(folder.to_owned(), read.clone(), read);
        record.begin();
        record
    }

    /// What is known after a boot of which these lines were written.
    fn boot(folder: &Path, lines: &[Line]) -> BootHistory {
        let record = begun(folder);
        for line in lines {
            record.tell(line);
        }
        drop(record);
        BootHistory::read(folder, Last::WhereItEnded)
    }

    fn names(history: &BootHistory) -> Vec<Vec<&str>> {
        history
            .failed
            .iter()
            .map(|boot| boot.suspects.iter().map(|one| one.name.as_str()).collect())
            .collect()
    }

    #[test]
    fn what_was_starting_is_suspected_where_a_boot_was_killed_and_what_failed_where_it_failed() {
        let folder = tempfile::tempdir().unwrap();
        let starts = || {
            vec![
                Line::Starting(suspect("a")),
                Line::Starting(suspect("b")),
                Line::Settled("a".into()),
                Line::Starting(suspect("c")),
            ]
        };
        assert_eq!(names(&boot(folder.path(), &starts())), [vec!["b", "c"]]);
        let mut failed = starts();
        failed.extend([Line::Failing(suspect("c")), Line::Failed("no".into())]);
        let history = boot(folder.path(), &failed);
        assert_eq!(names(&history), [vec!["b", "c"], vec!["c"]]);
        assert_eq!(history.failed[1].error.as_deref(), Some("no"));
    }

    #[test]
    fn what_was_interrupted_and_what_nothing_is_suspected_of_count_neither_way() {
        let folder = tempfile::tempdir().unwrap();
        let once = boot(folder.path(), &[Line::Starting(suspect("a"))]);
        let interrupted = boot(folder.path(), &[Line::Starting(suspect("a")), Line::Interrupted]);
        assert_eq!(names(&once), names(&interrupted));
        // A Conductor that raises while an extension starts, and a kill before anything does.
        let own = [Line::Starting(suspect("b")), Line::Failed("the Conductor's import".into())];
        assert_eq!(names(&once), names(&boot(folder.path(), &own)));
        assert_eq!(names(&once), names(&boot(folder.path(), &[])));
    }

    #[test]
    fn a_boot_that_still_runs_has_not_failed() {
        let folder = tempfile::tempdir().unwrap();
        let running = begun(folder.path());
        running.tell(&Line::Starting(suspect("a")));
        let asked = |last| BootHistory::read(folder.path(), last).failed.len();
        assert_eq!((asked(Last::WhereItEnded), asked(Last::Always)), (0, 1));
        drop(running);
        assert_eq!(asked(Last::WhereItEnded), 1);
    }

    #[test]
    fn a_success_removes_the_record_and_a_torn_or_strange_one_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        boot(folder.path(), &[Line::Starting(suspect("a"))]);
        let record = begun(folder.path());
        record.clear();
        assert!(!folder.path().join(NAME).exists());
        record.tell(&Line::Interrupted);
        assert!(!folder.path().join(NAME).exists(), "it was over");
        for strange in
            ["", "\u{0}\u{0}", "{\"failed\":3}\n[]", "{\"failed\":[],\"omitted\":[]}\n{\"beg"]
        {
            fs::write(folder.path().join(NAME), strange).unwrap();
            let read = BootHistory::read(folder.path(), Last::Always);
            assert_eq!(read, BootHistory::default(), "{strange:?}");
        }
        fs::remove_file(folder.path().join(NAME)).unwrap();
        for _ in 0..REMEMBERED * 2 {
            boot(folder.path(), &[Line::Starting(suspect("a"))]);
        }
        let read = BootHistory::read(folder.path(), Last::Always);
        assert_eq!(read.failed.len(), REMEMBERED);
    }

    /// What takes a name, and whether a record may still take it from it.
    type Taker = (bool, fn(&Path));

    #[test]
    fn whatever_lies_in_its_place_is_neither_waited_for_nor_followed() {
        let takers: [Taker; 4] = [
            (true, |path| {
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    path,
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RWXU,
                    0,
                )
                .unwrap();
            }),
            (true, |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap()),
            (true, |path| {
                let theirs = path.with_extension("theirs");
                fs::write(&theirs, "theirs").unwrap();
                std::os::unix::fs::symlink(theirs, path).unwrap();
            }),
            (false, |path| fs::create_dir(path).unwrap()),
        ];
        for (place, (written, take)) in takers.into_iter().enumerate() {
            for name in [NAME.to_owned(), format!("{NAME}.new")] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join(&name);
                take(&path);
                let history = boot(folder.path(), &[Line::Starting(suspect("a"))]);
                assert_eq!(history.failed.len(), usize::from(written), "{place}, {name}");
                let theirs = fs::read_to_string(path.with_extension("theirs"));
                assert!(theirs.is_err() || theirs.is_ok_and(|text| text == "theirs"));
                begun(folder.path()).clear();
            }
        }
    }

    #[test]
    fn a_success_that_could_not_write_counts_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        boot(folder.path(), &[Line::Starting(suspect("a"))]);
        // In the way of whoever writes, as a full disk is.
        fs::create_dir_all(folder.path().join(format!("{NAME}.new"))).unwrap();
        let record = begun(folder.path());
        assert!(folder.path().join(NAME).exists(), "the one of before");
        record.clear();
        assert!(!folder.path().join(NAME).exists());
    }
}
