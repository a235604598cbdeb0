//! What an extension of a project starts: whether a pin holds it, or it does not come with the project.
//!
//! Called by [`Trust::admit`] before each start. Invariant: a file of the project that is started lies in the extension's own
//! folder, where it has a pin, and is reached there through nothing of the project that has none.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Trust;
use super::pins::is_left_out;
use crate::manifest::{Entry, ExtensionManifest};

/// So many links are followed, as the kernel does.
const LINKS: usize = 40;

/// What the manifest starts that no pin holds: what that is for it, and where it lies.
pub(super) fn unpinned(
    trust: &Trust,
    manifest: &ExtensionManifest,
) -> Option<(&'static str, PathBuf)> {
    let mut started: Vec<(&'static str, PathBuf)> = Vec::new();
    match &manifest.entry {
        Entry::Python(_) => {
            // A bare name is looked up by the user's own search path.
            let python = manifest.python.iter().filter(|python| python.components().count() > 1);
            started.extend(python.map(|python| ("interpreter", python.clone())));
        }
        Entry::Command(words) => {
            let mut places = words.iter().map(|word| (word, manifest.folder.join(&word.value)));
            let program = places.next().filter(|(program, _)| program.contains('/'));
            started.extend(program.map(|(_, place)| ("program", place)));
            // `sh ../script`: an interpreter's program is one of its words.
            let files = places.filter(|(_, place)| place.is_file());
            started.extend(files.map(|(_, place)| ("program", place)));
        }
        Entry::Library { file, .. } => started.push(("library", file.value.clone())),
    }
    started.into_iter().find_map(|(what, path)| {
        // The folder may be reached by a link, and what was held against the pins is where that leads to.
        let path = path
            .strip_prefix(&manifest.folder)
            .map_or(path.clone(), |inside| trust.folder.join(inside));
        loose(trust, &path).map(|place| (what, place))
    })
}

/// The part of a path, one of its links or its end, that comes with the project and has no pin.
fn loose(trust: &Trust, path: &Path) -> Option<PathBuf> {
    let parts = |path: &Path| path.iter().map(OsString::from).collect::<Vec<_>>();
    let mut left: VecDeque<OsString> = parts(path).into();
    let mut place = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::RootDir) => place = PathBuf::from("/"),
            Some(Component::ParentDir) => {
                place.pop();
            }
            Some(Component::Normal(name)) => {
                let next = place.join(name);
                if left.is_empty() && is_pinned(trust, &next) {
                    // With what it leads to, if it is a link.
                    return None;
                }
                let Ok(target) = fs::read_link(&next) else {
                    place = next;
                    continue;
                };
                links += 1;
                if links > LINKS || is_of_project(trust, &next) {
                    return Some(next);
                }
                for part in parts(&target).into_iter().rev() {
                    left.push_front(part);
                }
            }
            _ => {}
        }
    }
    (is_of_project(trust, &place) && !is_pinned(trust, &place)).then_some(place)
}

fn is_pinned(trust: &Trust, place: &Path) -> bool {
    place.strip_prefix(&trust.folder).is_ok_and(|inside| !is_left_out(inside))
}

/// Whether a place comes with the project, and is not one of the extension's own that has a pin.
fn is_of_project(trust: &Trust, place: &Path) -> bool {
    let project = trust.project.as_ref().is_some_and(|project| place.starts_with(project));
    (project || place.starts_with(&trust.folder)) && !is_pinned(trust, place)
}
