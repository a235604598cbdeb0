//! Which of them it is: what the next boot leaves out, by what boots before it tell.
//!
//! Asked by `left_out`. Invariants: extensions go before components; what was written since it failed is not chosen.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::boot_record::{BootHistory, FailedBoot, Omitted, Suspect};

/// So many boots in a row have to fail before something is left out, and, once something is, one for more.
const FAILED: usize = 2;
/// So many files of an extension are looked at; one with more counts as it was.
const LOOKED_AT: usize = 5000;

/// What an extension or a component is made of.
pub(super) struct Files {
    /// Its folder or file.
    pub(super) path: PathBuf,
    /// What it may write in it: that changes by itself.
    pub(super) written: Vec<PathBuf>,
}

/// What the boot that begins now leaves out, as the record says, and how the record goes on. `extension` gives the files of
/// one of that name; `now` is in seconds since 1970.
pub(super) fn choose(
    history: &BootHistory,
    now: f64,
    extension: impl Fn(&str) -> Option<Files>,
) -> BootHistory {
    let unchanged = |suspect: &Suspect, since: f64| {
        let component = |file: &PathBuf| Files { path: file.clone(), written: Vec::new() };
        // None: neither an extension nor a component any more. A clock that was put back could not tell.
        let files = extension(&suspect.name).or_else(|| suspect.file.as_ref().map(component));
        since <= now && files.is_some_and(|files| !files.have_changed(since))
    };
    let mut next = history.clone();
    next.omitted.retain(|one| unchanged(&one.suspect, one.since));
    if next.omitted.len() < history.omitted.len() {
        // What was repaired has the chances of anything new.
        next.failed.clear();
    }
    let needed = if next.omitted.is_empty() { FAILED } else { 1 };
    let Some(enough) = next.failed.len().checked_sub(needed) else { return next };
    let last = &next.failed[enough..];
    let Some(since) = last.last().map(|boot| boot.begun) else { return next };
    let mut suspects = in_all(last);
    suspects.retain(|one| {
        unchanged(one, since) && !next.omitted.iter().any(|other| other.suspect == *one)
    });
    if suspects.iter().any(|one| extension(&one.name).is_some()) {
        suspects.retain(|one| extension(&one.name).is_some());
    }
    if suspects.is_empty() {
        return next;
    }
    let reason = reason(last);
    next.omitted.extend(suspects.into_iter().map(|suspect| Omitted {
        suspect,
        since,
        reason: reason.clone(),
    }));
    next.failed.clear();
    next
}

/// What was starting in each of these boots; where there is no such thing, in any.
fn in_all(boots: &[FailedBoot]) -> Vec<Suspect> {
    let mut all: Vec<Suspect> = Vec::new();
    for suspect in boots.iter().flat_map(|boot| &boot.suspects) {
        if !all.contains(suspect) {
            all.push(suspect.clone());
        }
    }
    let common: Vec<Suspect> = all
        .iter()
        .filter(|one| boots.iter().all(|boot| boot.suspects.contains(one)))
        .cloned()
        .collect();
    if common.is_empty() { all } else { common }
}

fn reason(boots: &[FailedBoot]) -> String {
    let when = match boots.len() {
        1 => "the last boot failed".to_owned(),
        count => format!("the last {count} boots failed"),
    };
    match boots.last().and_then(|boot| boot.error.as_deref()) {
        Some(error) => format!("starting when {when}: {error}"),
        None => format!("starting when {when}; the last one was killed"),
    }
}

impl Files {
    /// Whether anything of it was written, replaced or moved since that moment. What Python caches, and hidden folders, are
    /// none of it.
    fn have_changed(&self, since: f64) -> bool {
        let mut looks = LOOKED_AT;
        self.has_changed(&self.path, since, &mut looks)
    }

    fn has_changed(&self, path: &Path, since: f64, looks: &mut usize) -> bool {
        let Ok(found) = fs::symlink_metadata(path) else { return true };
        let at = found.ctime() as f64 + found.ctime_nsec() as f64 / 1e9;
        // A folder changes by what a run leaves in it, too: its entries tell.
        if !found.is_dir() {
            return at > since;
        }
        let Ok(entries) = fs::read_dir(path) else { return false };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = entry.path();
            if name.starts_with('.') || name == "__pycache__" || self.written.contains(&path) {
                continue;
            }
            if *looks == 0 {
                return false;
            }
            *looks -= 1;
            if self.has_changed(&path, since, looks) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BootHistory, FailedBoot, Files, Omitted, Suspect, choose};

    const LATER: f64 = 4e9;

    fn suspect(name: &str, folder: &Path) -> Suspect {
        // A component of a file, where the folder has one of its name.
        let file = folder.join(name).with_extension("py");
        Suspect { name: name.to_owned(), file: file.exists().then_some(file) }
    }

    fn failed(folder: &Path, begun: f64, suspects: &[&str]) -> FailedBoot {
        let suspects = suspects.iter().map(|name| suspect(name, folder)).collect();
        FailedBoot { begun, suspects, error: None }
    }

    /// The names that are left out after these boots, where each folder is an extension.
    fn left_out(folder: &Path, history: &BootHistory, now: f64) -> (BootHistory, Vec<String>) {
        let extension = |name: &str| {
            let path = folder.join(name);
            path.is_dir().then(|| Files { written: vec![path.join("cache")], path })
        };
        let next = choose(history, now, extension);
        let names = next.omitted.iter().map(|one| one.suspect.name.clone()).collect();
        (next, names)
    }

    fn extensions(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("code"), "").unwrap();
        }
        folder
    }

    #[test]
    fn it_takes_two_boots_and_it_is_what_both_have_in_common() {
        let folder = extensions(&["a", "b", "c"]);
        let place = folder.path();
        let history = |failed| BootHistory { failed, omitted: Vec::new() };
        let once = vec![failed(place, LATER, &["a", "b"])];
        assert!(left_out(place, &history(once.clone()), LATER).1.is_empty());
        let common = [once.clone(), vec![failed(place, LATER, &["b", "c"])]].concat();
        assert_eq!(left_out(place, &history(common), LATER).1, ["b"]);
        let strange = [once, vec![failed(place, LATER, &["c"])]].concat();
        assert_eq!(left_out(place, &history(strange), LATER).1, ["a", "b", "c"]);
    }

    #[test]
    fn another_failure_leaves_out_more_and_a_repair_begins_anew() {
        let folder = extensions(&["a", "b"]);
        let place = folder.path();
        let omitted = |name: &str, since| {
            vec![Omitted { suspect: suspect(name, place), since, reason: String::new() }]
        };
        let again = vec![failed(place, LATER, &["b"])];
        let history = BootHistory { failed: again.clone(), omitted: omitted("a", LATER) };
        assert_eq!(left_out(place, &history, LATER).1, ["a", "b"]);
        let (next, names) =
            left_out(place, &BootHistory { failed: again, omitted: omitted("a", 1.0) }, LATER);
        assert!(names.is_empty() && next.failed.is_empty(), "it was written since: {names:?}");
    }

    #[test]
    fn extensions_go_before_components_and_what_is_gone_before_neither() {
        let folder = extensions(&["a"]);
        let place = folder.path();
        std::fs::write(place.join("part.py"), "").unwrap();
        let twice = |names: &[&str]| BootHistory {
            failed: vec![failed(place, LATER, names), failed(place, LATER, names)],
            omitted: Vec::new(),
        };
        assert_eq!(left_out(place, &twice(&["a", "part", "gone"]), LATER).1, ["a"]);
        assert_eq!(left_out(place, &twice(&["part", "gone"]), LATER).1, ["part"]);
    }

    #[test]
    fn what_changes_by_itself_is_no_repair_and_a_clock_that_was_put_back_is_none_either() {
        let folder = extensions(&["a"]);
        let place = folder.path();
        let since = super::super::boot_record::now();
        let twice = |begun| BootHistory {
            failed: vec![failed(place, begun, &["a"]), failed(place, begun, &["a"])],
            omitted: Vec::new(),
        };
        // The kernel's clock of files ticks more rarely than ours.
        std::thread::sleep(std::time::Duration::from_millis(30));
        for own in ["cache", "__pycache__", ".venv"] {
            std::fs::create_dir(place.join("a").join(own)).unwrap();
            std::fs::write(place.join("a").join(own).join("new"), "").unwrap();
        }
        assert_eq!(left_out(place, &twice(since + 0.015), since + 1.0).1, ["a"]);
        let future = left_out(place, &twice(LATER), LATER - 1.0);
        assert!(future.1.is_empty(), "nothing could ever be newer: {:?}", future.1);
        std::fs::write(place.join("a").join("code"), "repaired").unwrap();
        assert!(left_out(place, &twice(since + 0.015), since + 1.0).1.is_empty());
    }
}
