//! What a boot goes on without: as its caller says, or as boots before it of the same state suggest.
//!
//! Made when a system is opened, before its plan. Invariant: extensions are taken out of the catalogue, components out of the
//! registry, and each says why; one that the boot needs is never left out.

use std::collections::BTreeMap;

use component::{Code, Diagnostic, did_you_mean};
use orchestra_kit::manifest::SafeMode;
use orchestra_kit::{Catalogue, Entry};

use super::boot_record::{BootHistory, BootRecord, Last, Omitted, now};
use super::choice::{Files, choose};
use crate::system::state_folder::StateFolder;
use crate::{BootEvent, Registry};

/// What a boot goes on without.
#[derive(Debug, Default)]
pub(in crate::system) struct SafeBoot {
    /// Extensions that do not start, with those that need them.
    extensions: Vec<String>,
    /// Components, each with the reason.
    components: BTreeMap<String, String>,
    /// Those of them that the caller named: one that cannot be left out is a fault.
    named: bool,
    /// What boots before this one suggest; of the components among them, those that are not here or are needed now stay.
    suggested: Vec<Omitted>,
    /// Whether the whole boot is a safe one because its caller said so.
    asked_for: bool,
}

impl SafeBoot {
    /// Leaves the components out of a registry. Gives what is told of the whole when the boot begins: what is really left
    /// out, which the record learns, too.
    pub(in crate::system) fn leave_out(
        &self,
        registry: &mut Registry,
        record: Option<&BootRecord>,
    ) -> Result<Option<BootEvent>, Vec<Diagnostic>> {
        let components = registry.leave_out(&self.components);
        let refused = self.components.keys().filter(|name| !components.contains(&name.as_str()));
        let faults: Vec<Diagnostic> =
            refused.filter(|_| self.named).map(|name| refusal(registry, name)).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let extensions = self.extensions.iter().map(String::as_str);
        let without: Vec<String> = extensions.chain(components).map(str::to_owned).collect();
        let mut omitted = self.suggested.clone();
        omitted.retain(|one| without.contains(&one.suspect.name));
        let reason = if self.asked_for {
            Some("it was asked for; an extension starts at its first call".to_owned())
        } else {
            reason(&omitted)
        };
        if let Some(record) = record {
            record.leaves_out(omitted);
        }
        let asked_for = self.asked_for;
        Ok(reason.map(|reason| BootEvent::SafeMode { without, reason, asked_for }))
    }

    /// Takes the extensions of these out of the catalogue, and keeps the components for the registry.
    fn take(&mut self, catalogue: &mut Catalogue, left_out: BTreeMap<String, String>) {
        let (extensions, components) =
            left_out.into_iter().partition(|(name, _)| catalogue.get(name).is_some());
        self.components = components;
        let (changed, names) = catalogue.without(&extensions);
        *catalogue = changed;
        self.extensions.extend(names);
        self.extensions.sort_unstable();
        self.extensions.dedup();
    }
}

/// Decides what the boot goes on without, takes the extensions of it out of the catalogue, and gives the record that the
/// boot is to write. No state: none of its boots count.
pub(in crate::system) fn open(
    state: Option<&StateFolder>,
    mode: SafeMode,
    without: &[String],
    catalogue: &mut Catalogue,
) -> (SafeBoot, Option<BootRecord>) {
    let mut safe = SafeBoot::default();
    if mode == SafeMode::On {
        (*catalogue, safe.extensions) = catalogue.at_first_call();
        safe.asked_for = true;
    }
    if !without.is_empty() {
        let why = "its caller left it out";
        let named = without.iter().map(|name| (name.clone(), why.to_owned())).collect();
        safe.named = true;
        safe.take(catalogue, named);
    }
    let counts = mode != SafeMode::On && without.is_empty();
    let Some(state) = state.filter(|state| counts && !state.is_temporary()) else {
        return (safe, None);
    };
    if mode == SafeMode::Off {
        return (safe, Some(BootRecord::of_all(state.path().to_owned())));
    }
    let read = BootHistory::read(state.path(), Last::WhereItEnded);
    let decided = choose(&read, now(), |name| catalogue.get(name).map(files));
    let left_out: BTreeMap<String, String> = decided
        .omitted
        .iter()
        .map(|one| {
            (one.suspect.name.clone(), format!("safe mode leaves it out: it was {}", one.reason))
        })
        .collect();
    safe.suggested.clone_from(&decided.omitted);
    safe.take(catalogue, left_out);
    let record = BootRecord::new(state.path().to_owned(), read, decided);
    (safe, Some(record))
}

/// Why a boot is a safe one that leaves these out; none where it leaves nothing out.
fn reason(omitted: &[Omitted]) -> Option<String> {
    let first = &omitted.first()?.reason;
    let names: Vec<&str> = omitted.iter().map(|one| one.suspect.name.as_str()).collect();
    let were = if names.len() == 1 { "was" } else { "were" };
    Some(format!("`{}` {were} {first}", names.join("`, `")))
}

/// What is said of a component that its caller wants to leave out, and cannot.
fn refusal(registry: &Registry, name: &str) -> Diagnostic {
    if registry.descriptors().any(|one| one.name.as_str() == name) {
        let message = format!("`{name}` cannot be left out: the boot needs it");
        return Diagnostic::error(Code::COMPONENT_NOT_FOUND, message)
            .hint("extensions can be left out, and components with `required=False`");
    }
    let optional = registry.descriptors().filter(|one| !one.required);
    let meant = did_you_mean(name, optional.map(|one| one.name.as_str()));
    let message = format!("there is no `{name}` to leave out");
    let fault = Diagnostic::error(Code::COMPONENT_NOT_FOUND, message);
    match meant {
        Some(meant) => fault.hint(format!("did you mean `{meant}`?")),
        None => fault.hint("name an extension, or a component with `required=False`"),
    }
}

/// What an extension is made of.
fn files(entry: &Entry) -> Files {
    let folder = entry.folder().to_owned();
    // Paths with variables lead out of it, as those of its data and its workspace do.
    let written = entry.manifest.permissions.write.iter().map(|path| folder.join(&path.value));
    Files { written: written.collect(), path: folder }
}
