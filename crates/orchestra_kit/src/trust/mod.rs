//! Extensions that come with an opened project: which they are, whether a person let them start, and what they were then.
//!
//! The catalogue marks them, each start of one asks again, and `symphony trust` pins them. Invariants: nothing of such a
//! folder runs unless every file in it is the one that was pinned; the pins lie in the user's own data folder, never in
//! what they speak of.

mod error;
mod lock;
mod pins;
mod programs;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use error::TrustError;
pub use lock::TrustLock;
pub use pins::{Pins, pins_of};

use crate::manifest::{ExtensionManifest, SystemManifest};
use crate::supervisor::Environment;

/// What an extension of a project is held against before each of its starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Its folder, as it really lies.
    pub folder: PathBuf,
    /// The project that it comes with, as it really lies; none where nobody opened one.
    pub project: Option<PathBuf>,
    /// The lock file; none where the user has no folder for one.
    pub lock: Option<PathBuf>,
}

/// Why an extension of a project may not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// Nobody trusted it.
    Never {
        /// Its folder.
        folder: PathBuf,
    },
    /// It is not what was trusted.
    Changed {
        /// Its folder.
        folder: PathBuf,
        /// The first file that differs, and how.
        file: String,
        /// How many others differ.
        others: usize,
    },
    /// Its manifest was another one when it was read.
    Stale {
        /// Its folder.
        folder: PathBuf,
        /// The name of the manifest's file.
        file: String,
    },
    /// It starts what no pin holds.
    Unpinned {
        /// Its folder.
        folder: PathBuf,
        /// What that is for it: its program, its interpreter, its library.
        what: &'static str,
        /// Where that lies.
        file: PathBuf,
    },
    /// It cannot be told.
    Unreadable {
        /// Its folder.
        folder: PathBuf,
        /// Why not, a fragment.
        why: String,
    },
}

impl Distrust {
    /// What to do.
    pub fn hint(&self) -> String {
        let (Self::Never { folder }
        | Self::Changed { folder, .. }
        | Self::Stale { folder, .. }
        | Self::Unpinned { folder, .. }
        | Self::Unreadable { folder, .. }) = self;
        match self {
            Self::Stale { .. } => {
                return "start the system anew, so that it is read again".to_owned();
            }
            Self::Unpinned { .. } => {
                return format!(
                    "move it into `{}`, or name one outside of the project",
                    folder.display()
                );
            }
            _ => {}
        }
        format!("`symphony trust {}`, if you know what it does", folder.display())
    }
}

impl std::fmt::Display for Distrust {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Never { .. } => {
                out.write_str("it comes with the opened project and is not trusted")
            }
            Self::Changed { file, others: 0, .. } => {
                write!(out, "it comes with the opened project and is not what was trusted: {file}")
            }
            Self::Changed { file, others, .. } => write!(
                out,
                "it comes with the opened project and is not what was trusted: {file}, and {others} more"
            ),
            Self::Stale { file, .. } => write!(
                out,
                "it comes with the opened project, and `{file}` is not what this system has read"
            ),
            Self::Unpinned { what, file, .. } => write!(
                out,
                "it comes with the opened project, and no pin holds its {what} `{}`",
                file.display()
            ),
            Self::Unreadable { why, .. } => {
                write!(
                    out,
                    "it comes with the opened project and cannot be held against its pins: {why}"
                )
            }
        }
    }
}

impl Trust {
    /// What holds an extension in that folder, where it comes with the project that the system has opened.
    pub fn needed(system: &SystemManifest, folder: &Path, lock: Option<&Path>) -> Option<Self> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (project, home, place) = (real(&system.workspace), real(&system.folder), real(folder));
        let inside = place.starts_with(&project) || folder.starts_with(&system.workspace);
        // Whoever starts a system that lies in the project, as its developer does, has chosen what belongs to it.
        let beside = place.starts_with(&home) || folder.starts_with(&system.folder);
        let own = home.starts_with(&project) && beside;
        let lock = lock.map(Path::to_owned);
        (inside && !own).then_some(Self { folder: place, project: Some(project), lock })
    }

    /// What holds an extension that no system names, as its manifest was read.
    pub(crate) fn alone(manifest: &ExtensionManifest, lock: Option<&Path>) -> Self {
        let folder = manifest.folder.canonicalize().unwrap_or_else(|_| manifest.folder.clone());
        // Nobody said where the project begins: what is named by a way from the folder is taken to be in it.
        let relative =
            manifest.python.as_ref().is_some_and(|own| own.starts_with(&manifest.folder));
        let project = relative.then(|| PathBuf::from("/"));
        Self { folder, project, lock: lock.map(Path::to_owned) }
    }

    /// Holds every file against what was pinned.
    ///
    /// # Errors
    /// Why it may not start.
    pub fn verify(&self) -> Result<(), Distrust> {
        self.pinned().map(|_| ())
    }

    /// Holds every file against what was pinned, and a manifest that was read before against its file: what it starts has
    /// a pin, or does not come with the project.
    ///
    /// # Errors
    /// Why it may not start.
    pub fn admit(&self, manifest: &ExtensionManifest) -> Result<(), Distrust> {
        let found = self.pinned()?;
        let folder = self.folder.clone();
        let file = manifest.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if found.hash_of(&file) != Some(&manifest.digest) {
            return Err(Distrust::Stale { folder, file });
        }
        match programs::unpinned(self, manifest) {
            Some((what, file)) => Err(Distrust::Unpinned { folder, what, file }),
            None => Ok(()),
        }
    }

    fn pinned(&self) -> Result<Pins, Distrust> {
        let folder = self.folder.clone();
        let unreadable = |error: &dyn std::fmt::Display| Distrust::Unreadable {
            folder: folder.clone(),
            why: error.to_string(),
        };
        let Some(lock) = &self.lock else { return Err(Distrust::Never { folder }) };
        let known = TrustLock::read(lock).map_err(|error| unreadable(&error))?;
        let Some(pinned) = known.pins(&folder) else { return Err(Distrust::Never { folder }) };
        let found = pins_of(&folder).map_err(|error| unreadable(&error))?;
        let mut different = found.differences(pinned);
        if different.is_empty() {
            return Ok(found);
        }
        let others = different.len() - 1;
        Err(Distrust::Changed { file: different.swap_remove(0), others, folder })
    }
}

/// Where the lock file of a user lies: `symphony/trust.json` in the data folder; none where the user has none.
pub fn lock_file(environment: &Environment) -> Option<PathBuf> {
    let named =
        |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data =
        named("XDG_DATA_HOME").or_else(|| named("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("symphony/trust.json"))
}
