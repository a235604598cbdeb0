//! What one guest may do, as data: made in the root, applied in the guest.
//!
//! Made by the process host for each start, since files come and go. Invariant: nothing is in it that its manifest does
//! not grant, beyond what [`super::always`] and its own interpreter need.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::python::{Interpreter, is_python};
use super::{HostLists, Kernel, always, programs};
use crate::manifest::{Entry, ExtensionManifest, Network, Permissions, Roots};

/// Where things are in the system that a guest belongs to.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The opened project.
    pub workspace: PathBuf,
    /// The folder of the system's manifest.
    pub system: PathBuf,
    /// The state folder, in which each extension has folders of its own.
    pub state: PathBuf,
    /// The interpreter that guests run by default.
    pub python: Option<PathBuf>,
    /// Folders in which programs are looked for, as in `PATH`.
    pub search: Vec<PathBuf>,
}

/// What one guest may do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// What the kernel can hold it with.
    pub kernel: Kernel,
    /// Files, and folders with all below them, to read.
    pub read: Vec<PathBuf>,
    /// The same, to write.
    pub write: Vec<PathBuf>,
    /// Files that may be executed, and folders of such.
    pub execute: Vec<PathBuf>,
    /// Whether it runs in the supervisor's own interpreter, and reads what that reads.
    pub shares_interpreter: bool,
    /// Whether it replaces itself by a program of its own.
    pub is_program: bool,
    /// Whether it may start processes.
    pub processes: bool,
    /// What of the network it may use: nothing where its kernel cannot hold its list of hosts.
    pub network: Network,
    /// Bytes of memory that each of its processes may have; none: no limit.
    pub memory: Option<u64>,
    /// Its private folders, read and written; made before it starts.
    pub temporary: PathBuf,
    /// Kept from one run to the next.
    pub data: PathBuf,
    /// The `write` grant that covers the extension's own manifest, as it is written; none where none does. For reports alone.
    #[serde(skip)]
    pub own_manifest: Option<String>,
    /// What its manifest grants and is not there, so that nothing can be granted.
    pub missing: Vec<PathBuf>,
}

impl Policy {
    /// What the manifest grants, and what every guest has.
    pub fn of(manifest: &ExtensionManifest, places: &Places, kernel: Kernel) -> Self {
        let permissions = &manifest.permissions;
        let installation = places.python.as_deref().map(installation_of).unwrap_or_default();
        let roots =
            Roots { workspace: &places.workspace, system: &places.system, python: &installation };
        let resolve = |path: &str| Permissions::resolve(path, &manifest.folder, &roots);
        let own = places.state.join("extensions").join(&manifest.name.value);
        let mut policy = Self {
            kernel,
            shares_interpreter: matches!(manifest.entry, Entry::Python(_)),
            is_program: false,
            processes: !permissions.run.is_empty(),
            network: match &permissions.network {
                Network::Hosts(_) if kernel.hosts != HostLists::Held => Network::Refused,
                granted => granted.clone(),
            },
            memory: manifest.limits.memory,
            temporary: own.join("tmp"),
            data: own.join("data"),
            read: always::READ.iter().map(PathBuf::from).collect(),
            write: always::WRITE.iter().map(PathBuf::from).collect(),
            ..Self::default()
        };
        policy.read.extend_from_slice(&policy.write);
        policy.read.push(manifest.folder.clone());
        policy.read.extend(permissions.read.iter().map(|path| resolve(path)));
        policy.write.extend(permissions.write.iter().map(|path| resolve(path)));
        // One that is pinned does not start again once it has changed.
        policy.own_manifest = permissions
            .write
            .iter()
            .filter(|_| manifest.trust.is_none())
            .find(|path| Permissions::covers(&resolve(path), &manifest.file))
            .map(|path| path.value.clone());
        if !policy.network.is_refused() {
            policy.read.extend(always::NETWORK.iter().map(PathBuf::from));
        }
        let granted = permissions.read.iter().chain(&permissions.write).map(|path| resolve(path));
        policy.missing = granted.filter(|path| !path.exists()).collect();
        policy.add_own_program(manifest, places);
        for program in &permissions.run {
            policy.add_granted_program(program, manifest, places, &roots);
        }
        if policy.processes {
            policy.read.extend(always::RUN.iter().map(PathBuf::from));
            policy.read.push(always::SHARED_MEMORY.into());
            policy.write.push(always::SHARED_MEMORY.into());
        }
        for paths in [&mut policy.read, &mut policy.write, &mut policy.execute] {
            paths.sort();
            paths.dedup();
        }
        policy
    }

    /// The program that a guest becomes: a command, or an interpreter of its own.
    fn add_own_program(&mut self, manifest: &ExtensionManifest, places: &Places) {
        let name = match (&manifest.entry, &manifest.python) {
            (Entry::Command(words), _) => words.first().map(|word| PathBuf::from(&word.value)),
            (Entry::Python(_), Some(interpreter)) => Some(interpreter.clone()),
            _ => None,
        };
        let Some(name) = name else { return };
        if let Entry::Command(words) = &manifest.entry {
            // What its own command line names, as a script after an interpreter.
            let files = words.iter().skip(1).map(|word| manifest.folder.join(&word.value));
            self.read.extend(files.filter(|file| file.is_file()));
        }
        self.is_program = true;
        if let Some(file) = found(&name, manifest, places) {
            self.add_program(&file, places);
        }
    }

    /// Makes it a program although its manifest names none: the system's interpreter is executed for it.
    pub fn executes_own_interpreter(&mut self, program: &Path, places: &Places) {
        self.is_program = true;
        self.add_program(program, places);
    }

    fn add_granted_program(
        &mut self,
        name: &str,
        manifest: &ExtensionManifest,
        places: &Places,
        roots: &Roots<'_>,
    ) {
        if name.contains('/') {
            let path = Permissions::resolve(name, &manifest.folder, roots);
            if !path.exists() {
                self.missing.push(path.clone());
            }
            self.add_program(&path, places);
            return;
        }
        let mut folders = places.search.clone();
        let interpreters = [manifest.python.as_deref(), places.python.as_deref()];
        // What is installed beside the interpreter is found there, also where `PATH` does not lead to it.
        folders.extend(
            interpreters.iter().flatten().filter_map(|file| file.parent().map(Path::to_owned)),
        );
        let mut found = programs::search(name, &folders);
        let same = |file: &&Path| file.file_name().is_some_and(|own| own == name);
        found.extend(interpreters.into_iter().flatten().filter(same).map(Path::to_owned));
        if found.is_empty() {
            self.missing.push(PathBuf::from(name));
        }
        for file in found {
            self.add_program(&file, places);
        }
        // Where some keep the programs that they consist of.
        let parts = ["/usr/lib", "/usr/libexec"]
            .map(|folder| Path::new(folder).join(format!("{name}-core")));
        self.execute.extend(parts.into_iter().filter(|folder| folder.is_dir()));
    }

    fn add_program(&mut self, program: &Path, places: &Places) {
        for file in programs::chain(program, &places.search) {
            if is_python(&file) {
                self.read.extend(Interpreter::of(&file).read);
            }
            self.read.push(file.clone());
            self.execute.push(file);
        }
    }
}

/// The file of the program that a guest becomes, where it has one: the first on the search path; for a server also what is
/// installed beside the interpreter, where `PATH` need not lead.
pub(crate) fn own_program(manifest: &ExtensionManifest, places: &Places) -> Option<PathBuf> {
    let Entry::Command(words) = &manifest.entry else { return None };
    found(Path::new(&words.first()?.value), manifest, places).filter(|file| file.exists())
}

fn found(name: &Path, manifest: &ExtensionManifest, places: &Places) -> Option<PathBuf> {
    let Some(bare) = name.to_str().filter(|name| !name.contains('/')) else {
        return Some(manifest.folder.join(name));
    };
    let mut folders = places.search.clone();
    if manifest.protocol.is_foreign() {
        let interpreters = [manifest.python.as_deref(), places.python.as_deref()];
        let beside = interpreters.into_iter().flatten().filter_map(Path::parent);
        folders.extend(beside.map(Path::to_owned));
    }
    // The first is the one that is executed.
    programs::search(bare, &folders).into_iter().next()
}

/// The folder of an interpreter's installation: `${python}`.
fn installation_of(interpreter: &Path) -> PathBuf {
    interpreter.parent().and_then(Path::parent).unwrap_or(Path::new("/nonexistent")).to_owned()
}
