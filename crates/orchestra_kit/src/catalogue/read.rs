//! Reading all manifests of a system, and what can be told of each entry without running it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use component::{Code, Diagnostic, Severity};

use super::find::is_glob;
use super::{
    Catalogue, Entry, Known, Operation, SourceReader, find_manifests, requirements, servers,
};
use crate::document::{Content, Faults, Located, Source};
use crate::manifest::{
    Entry as Start, ExtensionManifest, FILE_NAME, Manifest, PythonEntry, SystemManifest,
};
use crate::trust::Trust;

/// Where Python modules are looked for, and who reads them.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// The import path of guests, after the extension's own folder.
    pub paths: &'a [PathBuf],
    /// Who reads a Python source; none: operations that the manifest does not list are unverified.
    pub reader: Option<&'a dyn SourceReader>,
    /// The lock file by which extensions of an opened project are trusted; none: none is.
    pub lock: Option<&'a Path>,
}

impl Catalogue {
    /// Reads every extension of a system. One that the system can go on without and that is at fault is there, and cannot be
    /// started.
    ///
    /// # Errors
    /// Every fault of every manifest that is needed and between them, sorted by place.
    pub fn read(system: &SystemManifest, sources: Sources<'_>) -> Result<Self, Vec<Diagnostic>> {
        let (mut catalogue, found, dispensable) = Self::look(system, sources, true);
        if found.iter().any(|fault| fault.severity == Severity::Error) {
            return Err(found.into_iter().chain(dispensable).collect());
        }
        catalogue.notes = found;
        catalogue.lock = sources.lock.map(Path::to_owned);
        Ok(catalogue)
    }

    /// This catalogue with the operations of those extensions read from their sources that were not known yet and that
    /// `wanted` names. A source that cannot be read leaves its extension unverified: its start tells why.
    #[must_use]
    pub fn with_sources(&self, reader: &dyn SourceReader, wanted: impl Fn(&str) -> bool) -> Self {
        let mut read = self.clone();
        for entry in read.entries.iter_mut().filter(|entry| entry.operations == Known::Unverified) {
            let (Some(file), Start::Python(python)) = (&entry.source, &entry.manifest.entry) else {
                continue;
            };
            if wanted(&entry.manifest.name)
                && let Some(Ok(operations)) = reader.operations(file, &python.attribute)
            {
                entry.operations = Known::Operations(operations);
            }
        }
        read
    }

    /// This catalogue with another version of one extension: the manifest in that folder, or that file.
    ///
    /// # Errors
    /// Every fault of that manifest, and of what it requires; or it is one of another extension.
    pub fn with_version(
        &self,
        system: &SystemManifest,
        name: &str,
        path: &Path,
    ) -> Result<Self, Vec<Diagnostic>> {
        let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
        let manifest = ExtensionManifest::read(&file)?;
        let mut faults = Faults::new(Code::MANIFEST_INVALID);
        if manifest.name.value != name {
            let message = format!("this is extension `{}`, not `{name}`", manifest.name);
            faults.error(&manifest.name.at, message).hint =
                Some(format!("only another version of `{name}` can take its place"));
        }
        let manifest = match Trust::needed(system, &manifest.folder, self.lock.as_deref()) {
            Some(trust) => manifest.of_project(trust, true),
            None => manifest,
        };
        let mut changed = self.clone();
        let version = entry(&mut faults, manifest, Sources::default());
        if let Some(known) = changed.entries.iter_mut().find(|known| known.name() == name) {
            *known = version;
        }
        requirements::check(&mut faults, system, &changed.entries, &[]);
        let found = faults.into_sorted();
        if found.iter().any(|fault| fault.severity == Severity::Error) {
            return Err(found);
        }
        Ok(changed)
    }

    /// An extension that no system names, for `check`.
    pub fn alone(manifest: ExtensionManifest, sources: Sources<'_>) -> (Self, Vec<Diagnostic>) {
        let mut faults = Faults::new(Code::MANIFEST_INVALID);
        let manifest = not_chosen(&mut faults, manifest, sources);
        let entries = vec![entry(&mut faults, manifest, sources)];
        (Self { entries, ..Self::default() }, faults.into_sorted())
    }

    /// Reads what can be read, for `check`: the good entries, and everything that is wrong or worth knowing.
    pub fn survey(system: &SystemManifest, sources: Sources<'_>) -> (Self, Vec<Diagnostic>) {
        let (catalogue, found, _) = Self::look(system, sources, false);
        (catalogue, found)
    }

    /// The entries, what is wrong with them, and, where `lenient`, what is wrong with those that the system can go on without.
    fn look(
        system: &SystemManifest,
        sources: Sources<'_>,
        lenient: bool,
    ) -> (Self, Vec<Diagnostic>, Vec<Diagnostic>) {
        let mut dispensable = Vec::new();
        let mut faults = Faults::new(Code::MANIFEST_INVALID);
        let mut files = Vec::new();
        for pattern in &system.extensions {
            files.extend(matches(&mut faults, &system.folder, pattern));
        }
        if matches!(Manifest::read(&system.file), Ok(Manifest { extension: Some(_), .. })) {
            files.push(system.file.clone());
        }
        files.sort();
        files.dedup();
        let mut entries: Vec<Entry> = Vec::with_capacity(files.len());
        let mut broken = Vec::new();
        for file in files {
            let manifest = match ExtensionManifest::read(&file) {
                Ok(manifest) => manifest,
                Err(found) => {
                    let read = ExtensionManifest::read_despite_faults(&file);
                    let dispensable_for_sure = |read: &ExtensionManifest| {
                        !read.required || read.is_dispensable() && !says_otherwise(&found)
                    };
                    let of_project = file.parent().is_some_and(|folder| {
                        Trust::needed(system, folder, sources.lock).is_some()
                    });
                    let Some(manifest) =
                        read.filter(|read| lenient && (of_project || dispensable_for_sure(read)))
                    else {
                        faults.extend(found);
                        broken.extend(name_of_broken(&file));
                        continue;
                    };
                    let manifest = manifest.degraded(told("its manifest is at fault", &found));
                    dispensable.extend(found);
                    manifest
                }
            };
            if let Some(first) = entries.iter().find(|entry| entry.name() == manifest.name.value) {
                let message = format!("two extensions are called `{}`", manifest.name);
                let fault = Diagnostic::error(Code::DUPLICATE_COMPONENT, message)
                    .at(manifest.name.at.clone())
                    .related(Some(first.manifest.name.at.clone()), "the first")
                    .related(Some(manifest.name.at.clone()), "the second")
                    .hint("rename one of them, or take its folder out of `extensions`");
                faults.push(fault);
                continue;
            }
            let trust = Trust::needed(system, &manifest.folder, sources.lock);
            let manifest = match trust {
                Some(trust) => of_project(&mut faults, manifest, trust),
                None => manifest,
            };
            if manifest.fault.is_some() {
                let operations = Known::Unverified;
                entries.push(Entry { manifest: Arc::new(manifest), operations, source: None });
                continue;
            }
            let mut own = Faults::new(Code::MANIFEST_INVALID);
            let mut read = entry(&mut own, manifest, sources);
            if lenient && own.errors() > 0 && read.manifest.is_dispensable() {
                let found = own.into_sorted();
                let manifest = ExtensionManifest::clone(&read.manifest);
                read.manifest = Arc::new(manifest.degraded(told("it is not complete", &found)));
                dispensable.extend(found);
            } else {
                faults.extend(own.into_sorted());
            }
            entries.push(read);
        }
        entries.sort_by(|left, right| left.name().cmp(right.name()));
        requirements::check(&mut faults, system, &entries, &broken);
        (Self { entries, ..Self::default() }, faults.into_sorted(), dispensable)
    }
}

/// An extension that no system chose, so that its own interpreter, a program of whoever wrote it, is asked only where it is
/// trusted: else it is looked at. A bare name is looked up by the user's own search path, and is asked.
fn not_chosen(
    faults: &mut Faults,
    manifest: ExtensionManifest,
    sources: Sources<'_>,
) -> ExtensionManifest {
    let (Some(own), Start::Python(_)) = (&manifest.python, &manifest.entry) else {
        return manifest;
    };
    if own.components().count() < 2 {
        return manifest;
    }
    let trust = Trust::alone(&manifest, sources.lock);
    if let (Err(why), Some(_)) = (trust.admit(&manifest), sources.reader) {
        let shown = Located::new(own.display().to_string(), manifest.at.clone());
        lacking(faults, own, &shown, "interpreter");
        let message = format!(
            "the interpreter of extension `{}` was not asked: no system is checked that names it, and nobody trusts it as it is",
            manifest.name
        );
        let note = Diagnostic::error(Code::UNVERIFIED, message).severity(Severity::Note);
        let hint = format!("check the system that names it, or {}", why.hint());
        faults.push(note.at(manifest.at.clone()).hint(hint));
    }
    ExtensionManifest { trust: Some(trust), ..manifest }
}

/// An extension that comes with the opened project, with a warning where nobody trusts it as it is.
fn of_project(faults: &mut Faults, manifest: ExtensionManifest, trust: Trust) -> ExtensionManifest {
    let verdict = trust.admit(&manifest);
    let trusted = verdict.is_ok();
    if let Err(why) = verdict {
        let message = format!("extension `{}` will not start: {why}", manifest.name);
        let warning = Diagnostic::error(Code::UNTRUSTED, message)
            .at(manifest.name.at.clone())
            .hint(why.hint());
        faults.push(Diagnostic { severity: Severity::Warning, ..warning });
    }
    manifest.of_project(trust, trusted)
}

/// Whether a fault leaves open when the extension is started, or whether the boot needs it.
fn says_otherwise(found: &[Diagnostic]) -> bool {
    ["activation`", "required`"].iter().any(|key| {
        found.iter().any(|fault| {
            fault.message.contains(key)
                || fault.hint.as_ref().is_some_and(|hint| hint.contains(key))
        })
    })
}

/// What is wrong with an extension, for whoever calls it: each error with its place.
fn told(what: &str, found: &[Diagnostic]) -> String {
    let errors = found.iter().filter(|fault| fault.severity == Severity::Error).map(|fault| {
        let place = fault.location.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
        let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{place}{}{hint}", fault.message)
    });
    format!("{what}: {}", errors.collect::<Vec<_>>().join("; "))
}

/// The name that a faulty manifest gives, so that nobody is told that it does not exist.
fn name_of_broken(file: &Path) -> Option<String> {
    let source = Source::read(file, Code::MANIFEST_INVALID).ok()?;
    let Content::Table(tables) = source.toml(Code::MANIFEST_INVALID).ok()?.content else {
        return None;
    };
    let (_, extension) = tables.into_iter().find(|(key, _)| key.value == "extension")?;
    let Content::Table(fields) = extension.content else { return None };
    fields.into_iter().find_map(|(key, value)| match value.content {
        Content::Text(name) if key.value == "name" => Some(name),
        _ => None,
    })
}

fn matches(faults: &mut Faults, folder: &Path, pattern: &Located<String>) -> Vec<PathBuf> {
    let found = match find_manifests(folder, pattern) {
        Ok(found) => found,
        Err(why) => {
            faults.error(&pattern.at, format!("`{pattern}` is not a glob: {why}"));
            return Vec::new();
        }
    };
    if found.is_empty() {
        if is_glob(pattern) {
            let message = format!("`{pattern}` matches no folder that holds a `{FILE_NAME}`");
            faults.error(&pattern.at, message).severity = Severity::Warning;
        } else {
            let path = folder.join(&pattern.value);
            let (message, hint) = if path.is_dir() {
                (format!("`{pattern}` holds no `{FILE_NAME}`"), "name the extension's folder")
            } else if path.exists() {
                (format!("`{pattern}` is not a folder"), "name the folder, not the file in it")
            } else {
                (format!("there is no folder `{pattern}`"), "the path is relative to this file")
            };
            faults.error(&pattern.at, message).hint = Some(hint.to_owned());
        }
    }
    found
}

fn entry(faults: &mut Faults, manifest: ExtensionManifest, sources: Sources<'_>) -> Entry {
    let mut read = None;
    let mut source = None;
    match &manifest.entry {
        Start::Python(python) => {
            // It is a program, too.
            let may_run =
                || manifest.trust.as_ref().is_none_or(|trust| trust.admit(&manifest).is_ok());
            if let (Some(own), Some(reader)) = (&manifest.python, sources.reader)
                && may_run()
            {
                faults.extend(reader.interpreter(own, &manifest.at));
            }
            source = module_file(faults, &manifest, python, sources.paths);
            if let (Some(file), Some(reader)) = (&source, sources.reader) {
                match reader.operations(file, &python.attribute) {
                    Some(Ok(operations)) => read = Some(operations),
                    Some(Err(fault)) => {
                        let place = fault.location.clone();
                        let fault =
                            if place.is_none() { fault.at(python.at.clone()) } else { fault };
                        let written = format!("`{}` needs `{}`", manifest.name, python.value);
                        let fault = if fault.related.is_empty() && place.is_some() {
                            fault.related(place, "here").related(Some(python.at.clone()), written)
                        } else {
                            fault
                        };
                        faults.push(fault);
                    }
                    None => {}
                }
            }
        }
        Start::Command(words) => {
            if let Some(program) = words.first().filter(|program| program.contains('/')) {
                lacking(faults, &manifest.folder.join(&program.value), program, "program");
            }
            read = servers::operations(manifest.protocol);
        }
        Start::Library { file, .. } => {
            let shown = Located::new(file.value.display().to_string(), file.at.clone());
            lacking(faults, file, &shown, "library");
        }
    }
    let operations = match (&manifest.operations, read) {
        (Some(written), read) => {
            let read = read.unwrap_or_default();
            let known = |name: &Located<String>| {
                read.iter()
                    .find(|operation| operation.name == name.value)
                    .cloned()
                    .unwrap_or_else(|| Operation::named(name.value.clone()))
            };
            Known::Operations(written.iter().map(known).collect())
        }
        (None, Some(read)) => Known::Operations(read),
        (None, None) => Known::Unverified,
    };
    Entry { manifest: Arc::new(manifest), operations, source }
}

fn lacking(faults: &mut Faults, path: &Path, written: &Located<String>, what: &str) {
    if path.is_file() {
        return;
    }
    let message = if path.exists() {
        format!("the {what} `{written}` is not a file")
    } else {
        format!("the {what} `{written}` does not exist")
    };
    let path: PathBuf = path.components().collect();
    faults.error(&written.at, message).hint =
        Some(format!("build it, or correct the path: it was looked for at `{}`", path.display()));
}

/// Finds the file of a module as Python would: in the extension's folder, then along the import path.
fn module_file(
    faults: &mut Faults,
    manifest: &ExtensionManifest,
    entry: &Located<PythonEntry>,
    paths: &[PathBuf],
) -> Option<PathBuf> {
    let inside: PathBuf = entry.module.split('.').collect();
    let mut compiled = false;
    for root in std::iter::once(&manifest.folder).chain(paths) {
        let module = root.join(&inside);
        for file in [module.join("__init__.py"), module.with_extension("py")] {
            if file.is_file() {
                return Some(file);
            }
        }
        compiled = compiled || is_compiled(&module);
    }
    // Another environment's modules cannot be told from here.
    if !compiled && manifest.python.is_none() {
        let wanted = manifest.folder.join(&inside).with_extension("py");
        let message = format!("the entry module `{}` does not exist", entry.module);
        faults.error(&entry.at, message).hint =
            Some(format!("create `{}`, or correct `entry`", wanted.display()));
    }
    None
}

/// Whether a compiled module (`name.….so`) or a namespace package stands there.
fn is_compiled(module: &Path) -> bool {
    let (Some(folder), Some(name)) = (module.parent(), module.file_name()) else { return false };
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let prefix = format!("{}.", name.to_string_lossy());
    entries.filter_map(Result::ok).any(|entry| {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        file.starts_with(&prefix) && (file.ends_with(".so") || file.ends_with(".pyd"))
    })
}
