//! What `symphony check` finds in files and folders: manifests, and the Melodies that call their extensions.
//!
//! Caller: the command line, through `symphony_py`. Nothing is run and nothing is imported; Python sources are read by
//! whoever is given as reader. A Melody is checked against the system in whose folder it lies, else against all
//! extensions that were found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use component::{Code, Diagnostic, Location};

use crate::catalogue::{Known, MemberOperations, Operations, Sources, Together, is_glob};
use crate::manifest::{Entry, ExtensionManifest, FILE_NAME, Manifest, SystemManifest};
use crate::{Catalogue, Melody, fault_of_state};

/// Folders that hold what others made.
const FOREIGN: &[&str] =
    &["target", "node_modules", "__pycache__", "venv", "site-packages", "build", "dist"];

/// How deep folders are searched.
const DEEPEST: usize = 16;

/// Checks these files and folders; gives every fault, warning and note once, sorted by place.
pub fn check_paths(
    paths: &[PathBuf],
    members: &MemberOperations,
    sources: Sources<'_>,
) -> Vec<Diagnostic> {
    let mut survey = Survey::default();
    for path in paths {
        survey.find(path, 0, true);
    }
    survey.read(sources);
    survey.melodies(members);
    let mut faults = survey.faults;
    faults.sort_by(|left, right| {
        (&left.location, left.code, &left.message).cmp(&(
            &right.location,
            right.code,
            &right.message,
        ))
    });
    faults.dedup();
    faults
}

/// An extension that was found, as far as it is known without running it.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundExtension {
    /// Its name.
    pub name: String,
    /// Where its manifest gives that name.
    pub location: Location,
    /// The names of its operations; none where only its start would tell.
    pub operations: Option<Vec<String>>,
}

/// The extensions whose manifests lie in these files and folders, each manifest once, by name.
pub fn extensions(paths: &[PathBuf], sources: Sources<'_>) -> Vec<FoundExtension> {
    let mut survey = Survey::default();
    for path in paths {
        survey.find(path, 0, true);
    }
    survey.read(sources);
    let catalogues = survey.systems.iter().map(|(_, catalogue)| catalogue).chain(&survey.loose);
    let mut found: Vec<FoundExtension> = catalogues
        .flat_map(Catalogue::entries)
        .map(|entry| FoundExtension {
            name: entry.name().to_owned(),
            location: entry.manifest.name.at.clone(),
            operations: match &entry.operations {
                Known::Operations(operations) => {
                    Some(operations.iter().map(|operation| operation.name.clone()).collect())
                }
                Known::Unverified => None,
            },
        })
        .collect();
    found.sort_by(|left, right| (&left.name, &left.location).cmp(&(&right.name, &right.location)));
    found.dedup();
    found
}

/// The manifests of extensions that lie in these files and folders, or belong to a system that does, and can be read, each
/// once, by name.
pub fn extension_manifests(paths: &[PathBuf]) -> Vec<Arc<ExtensionManifest>> {
    let mut survey = Survey::default();
    for path in paths {
        survey.find(path, 0, true);
    }
    survey.read(Sources::default());
    let catalogues = survey.systems.iter().map(|(_, catalogue)| catalogue).chain(&survey.loose);
    let manifests =
        catalogues.flat_map(Catalogue::entries).map(|entry| Arc::clone(&entry.manifest));
    // One that stands for a manifest at fault asks for what nobody could read: it is told by `check_paths`.
    let mut found: Vec<_> = manifests.filter(|manifest| manifest.fault.is_none()).collect();
    let place = |one: &ExtensionManifest| (one.name.value.clone(), one.file.clone());
    found.sort_by_key(|one| place(one));
    found.dedup_by_key(|one| place(one));
    found
}

/// The manifests of systems that lie in these files and folders and can be read, each once, by file.
pub fn systems(paths: &[PathBuf]) -> Vec<SystemManifest> {
    let mut survey = Survey::default();
    for path in paths {
        survey.find(path, 0, true);
    }
    // One at fault is told by `check_paths`.
    survey.manifests.iter().filter_map(|file| SystemManifest::read(file).ok()).collect()
}

/// The files of Melodies that lie in these files and folders, each once; whether they are lawful is not asked.
pub fn melodies(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut survey = Survey::default();
    for path in paths {
        survey.find(path, 0, true);
    }
    survey.candidates.into_iter().collect()
}

/// How much was looked at, by kind; Python sources are read elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// Manifests, of systems and of extensions.
    pub manifests: usize,
    /// Those of extensions, lawful or not.
    pub extensions: usize,
    /// Melodies.
    pub melodies: usize,
}

/// Says what [`check_paths`] looks at.
pub fn looked(paths: &[PathBuf]) -> Looked {
    let mut survey = Survey::default();
    for path in paths {
        survey.find(path, 0, true);
    }
    let mut of_extensions = BTreeSet::new();
    for file in &survey.manifests {
        match Manifest::read(file) {
            Ok(Manifest { system: Some(system), .. }) => {
                let (catalogue, _) = Catalogue::survey(&system, Sources::default());
                let entries = catalogue.entries().iter();
                of_extensions.extend(entries.map(|entry| entry.manifest.file.clone()));
            }
            Ok(Manifest { extension: None, .. }) => {}
            Ok(_) | Err(_) => {
                of_extensions.insert(file.clone());
            }
        }
    }
    let manifests: BTreeSet<_> = survey.manifests.union(&of_extensions).collect();
    Looked {
        manifests: manifests.len(),
        extensions: of_extensions.len(),
        melodies: survey.candidates.len(),
    }
}

/// What is to be watched of a manifest: the program or library of an extension, the folders in which a system looks for
/// extensions. Nothing where it cannot be read.
pub fn watched_paths(file: &Path) -> Vec<PathBuf> {
    let Ok(Manifest { system, extension }) = Manifest::read(file) else { return Vec::new() };
    let mut paths = Vec::new();
    if let Some(extension) = extension {
        match extension.entry {
            Entry::Command(words) => {
                let program = words.first().filter(|program| program.contains('/'));
                paths.extend(program.map(|program| extension.folder.join(&program.value)));
            }
            Entry::Library { file, .. } => paths.push(file.value),
            Entry::Python(_) => {}
        }
    }
    for pattern in system.iter().flat_map(|system| &system.extensions) {
        let plain = Path::new(&pattern.value).components();
        let plain: PathBuf =
            plain.take_while(|part| !is_glob(&part.as_os_str().to_string_lossy())).collect();
        paths.extend(system.as_ref().map(|system| system.folder.join(&plain)));
    }
    paths
}

#[derive(Default)]
struct Survey {
    manifests: BTreeSet<PathBuf>,
    candidates: BTreeSet<PathBuf>,
    systems: Vec<(PathBuf, Catalogue)>,
    loose: Vec<Catalogue>,
    faults: Vec<Diagnostic>,
}

impl Survey {
    fn find(&mut self, path: &Path, depth: usize, named: bool) {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name == FILE_NAME) {
                self.manifests.insert(path.to_owned());
                return;
            }
            if depth > DEEPEST {
                return;
            }
            let Ok(entries) = std::fs::read_dir(path) else {
                self.faults.push(unreadable(path));
                return;
            };
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // A link to a folder may lead in a circle, and what it leads to is found where it lies.
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                let skipped = name.starts_with('.')
                    || FOREIGN.contains(&&*name)
                    || (is_link && entry.path().is_dir());
                if !skipped {
                    self.find(&entry.path(), depth + 1, false);
                }
            }
            return;
        }
        if named && !path.exists() {
            self.faults.push(unreadable(path));
            return;
        }
        let Ok(path) = path.canonicalize() else { return };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == FILE_NAME {
            self.manifests.insert(path);
        } else if path.extension().is_some_and(|kind| kind == "toml" || kind == "json")
            && (named || is_melody(&path))
        {
            self.candidates.insert(path);
        }
    }

    fn read(&mut self, sources: Sources<'_>) {
        let mut covered = BTreeSet::new();
        for file in &self.manifests {
            match Manifest::read(file) {
                Ok(Manifest { system: Some(system), .. }) => {
                    let (catalogue, faults) = Catalogue::survey(&system, sources);
                    covered.extend(
                        catalogue.entries().iter().map(|entry| entry.manifest.file.clone()),
                    );
                    self.faults.extend(faults);
                    let of_state = fault_of_state(&system.state);
                    self.faults.extend(of_state.map(|fault| fault.at(system.state_at)));
                    self.systems.push((system.folder, catalogue));
                }
                Ok(_) => {}
                Err(faults) => {
                    covered.insert(file.clone());
                    self.faults.extend(faults);
                }
            }
        }
        for file in self.manifests.iter().filter(|file| !covered.contains(*file)) {
            if let Ok(Manifest { system: None, extension: Some(_) }) = Manifest::read(file)
                && let Ok(manifest) = ExtensionManifest::read(file)
            {
                let (catalogue, faults) = Catalogue::alone(manifest, sources);
                self.faults.extend(faults);
                self.loose.push(catalogue);
            }
        }
    }

    fn melodies(&mut self, members: &MemberOperations) {
        for file in &self.candidates {
            let melody = match Melody::read(file) {
                Ok(melody) => melody,
                Err(faults) => {
                    self.faults.extend(faults);
                    continue;
                }
            };
            let home = self
                .systems
                .iter()
                .filter(|(folder, _)| file.starts_with(folder))
                .max_by_key(|(folder, _)| folder.components().count());
            let mut sources: Vec<&dyn Operations> = vec![members];
            if let Some((_, catalogue)) = home {
                sources.push(catalogue);
            } else {
                sources.extend(self.systems.iter().map(|(_, known)| known as &dyn Operations));
                sources.extend(self.loose.iter().map(|known| known as &dyn Operations));
            }
            let found = crate::melody::check(&melody, &Together(&sources));
            self.faults.extend(found);
        }
    }
}

/// Whether a file of a folder is meant as a Melody; any other TOML or JSON is none of our business.
fn is_melody(path: &Path) -> bool {
    // Reading a pipe or a socket would wait for whoever writes to it.
    if !path.is_file() {
        return false;
    }
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    if path.extension().is_some_and(|kind| kind == "json") {
        serde_json::from_str::<serde_json::Value>(&text)
            .is_ok_and(|value| value.get("melody").is_some())
    } else {
        text.lines().any(|line| line.trim().starts_with("[melody]"))
    }
}

fn unreadable(path: &Path) -> Diagnostic {
    let what = if path.exists() { "cannot be read" } else { "does not exist" };
    Diagnostic::error(Code::MANIFEST_INVALID, format!("`{}` {what}", path.display()))
        .hint("name a manifest, a Melody, a Python source, or a folder that holds some")
}
