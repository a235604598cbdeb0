//! `requires`: everything that is asked for exists, and nobody asks in a ring.

use component::{Code, Diagnostic, Related, did_you_mean, missing_text};

use super::Entry;
use crate::document::Faults;
use crate::manifest::{Member, SystemManifest};
use crate::ring::rings;

/// Checks `requires` of all entries. What a broken manifest names (`broken`) is there, and told elsewhere.
pub(super) fn check(
    faults: &mut Faults,
    system: &SystemManifest,
    entries: &[Entry],
    broken: &[String],
) {
    let mut edges: Vec<Vec<usize>> = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut needs = Vec::new();
        for required in &entry.manifest.requires {
            if let Ok(index) =
                entries.binary_search_by(|other| other.name().cmp(required.value.as_str()))
            {
                needs.push(index);
                continue;
            }
            if broken.contains(&required.value) {
                continue;
            }
            let hint = match Member::parse(required) {
                Some(member) if system.members.contains(&member) => continue,
                Some(member) => {
                    format!("add `\"{member}\"` to `members` in `{}`", system.file.display())
                }
                None => {
                    let known = entries
                        .iter()
                        .map(Entry::name)
                        .filter(|name| *name != entry.name())
                        .chain(system.members.iter().map(|member| member.as_str()));
                    match did_you_mean(required, known) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => {
                            "name a member of the Pit or an extension of this system".to_owned()
                        }
                    }
                }
            };
            let message = missing_text(entry.name(), &required.value);
            let fault = Diagnostic::error(Code::MISSING_DEPENDENCY, message)
                .at(required.at.clone())
                .hint(hint);
            faults.push(fault);
        }
        edges.push(needs);
    }
    for ring in rings(&edges) {
        let path: Vec<String> =
            ring.iter().map(|index| entries[*index].name().to_owned()).collect();
        let edges = ring.iter().enumerate().map(|(position, index)| {
            let entry = &entries[*index];
            let next = &path[(position + 1) % path.len()];
            let place = entry.manifest.requires.iter().find(|required| required.value == *next);
            let text = format!("`{}` requires `{next}`", entry.name());
            Related { location: place.map(|required| required.at.clone()), text }
        });
        let edges = edges.collect();
        let fault = Diagnostic::cycle(Code::DEPENDENCY_CYCLE, path, edges).hint(
            "take one of them out of `requires`: an extension may still call one that it does not require",
        );
        faults.push(fault);
    }
}
