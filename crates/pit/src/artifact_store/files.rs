//! Large blobs, each in a file of its own, named by its id.
//!
//! A blob is written under a temporary name and renamed when it is whole. Leftovers of a crash lie in one folder that
//! is emptied at open.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use super::ArtifactId;
use super::record::Place;
use crate::disk::{self, OpenAs};
use crate::journal_file::sync_folder_of;
use crate::{Durability, PitError, PitResult};

#[derive(Debug)]
pub(super) struct Files {
    blobs: PathBuf,
    archive: PathBuf,
    temporary: PathBuf,
    durability: Durability,
    counter: AtomicU64,
    /// Told apart from the drafts of an earlier store that is closed but still held.
    session: u64,
}

/// A blob on its way; dropped before it is adopted, it goes.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    file: File,
    adopted: bool,
}

impl Files {
    pub(super) fn open(folder: &Path, durability: Durability) -> PitResult<Self> {
        let files = Self {
            blobs: folder.join("blobs"),
            archive: folder.join("archive"),
            temporary: folder.join("temporary"),
            durability,
            counter: AtomicU64::new(0),
            session: RandomState::new().build_hasher().finish(),
        };
        match disk::remove_folder(&files.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PitError::io("empty the folder", &files.temporary)(error));
            }
            _ => {}
        }
        Ok(files)
    }

    /// Begins a blob.
    pub(super) fn draft(&self) -> PitResult<Draft> {
        let path = self.temporary_path();
        let create = || disk::open(&path, OpenAs::New);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(&self.temporary)?;
                create()
            }
            other => other,
        };
        let file = file.map_err(PitError::io("create", &path))?;
        Ok(Draft { path, file, adopted: false })
    }

    /// Makes a draft durable where that is asked for; to be done before [`Self::adopt`], under no lock.
    pub(super) fn settle(&self, draft: &Draft) -> PitResult<()> {
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Power => {
                disk::sync_data(&draft.file).map_err(PitError::io("flush", &draft.path))
            }
        }
    }

    /// Gives a whole draft its name.
    pub(super) fn adopt(&self, draft: Draft, id: &ArtifactId, place: Place) -> PitResult<()> {
        self.adopt_as(draft, &self.path(id, place))
    }

    /// Gives a whole draft another name.
    pub(super) fn adopt_as(&self, draft: Draft, path: &Path) -> PitResult<()> {
        rename(&draft.path, path)?;
        let mut draft = draft;
        draft.adopted = true;
        self.settle_name(path)
    }

    pub(super) fn open_blob(&self, id: &ArtifactId, place: Place) -> PitResult<File> {
        Ok(self.locate(id, place)?.1)
    }

    /// Takes a blob's name away; the file itself goes when the answer is dropped. None: it is gone already.
    pub(super) fn discard(&self, id: &ArtifactId, place: Place) -> PitResult<Option<Draft>> {
        let (path, file) = match self.locate(id, place) {
            Err(error) if is_absent(&error) => return Ok(None),
            other => other?,
        };
        let temporary = self.temporary_path();
        let moved =
            disk::make_folder(&self.temporary).and_then(|()| disk::rename(&path, &temporary));
        if moved.is_err() {
            // Slower under the caller's lock, but it needs no room for a folder or a name: the disk may be full.
            disk::remove(&path).map_err(PitError::io("remove", &path))?;
            return Ok(None);
        }
        Ok(Some(Draft { path: temporary, file, adopted: false }))
    }

    /// Removes a blob that no record names. That it stays is said and keeps nobody from going on.
    pub(super) fn abandon(&self, id: &ArtifactId, place: Place) {
        if let Err(error) = self.discard(id, place) {
            tracing::warn!(%error, "a blob that nothing names could not be removed");
        }
    }

    /// The files of blobs that are there, whether a record names them or not.
    pub(super) fn listed(&self) -> PitResult<Vec<(ArtifactId, Place)>> {
        let mut found = Vec::new();
        for (folder, place) in [(&self.blobs, Place::File), (&self.archive, Place::Archive)] {
            for part in names(folder)? {
                for file in names(&part)? {
                    let id = file.file_name().and_then(|name| name.to_str()?.parse().ok());
                    // What has another name is not ours.
                    found.extend(id.map(|id| (id, place)));
                }
            }
        }
        Ok(found)
    }

    pub(super) fn is_there(&self, id: &ArtifactId, place: Place) -> bool {
        self.path(id, place).exists()
    }

    /// Takes a file away; answers how many bytes it had.
    pub(super) fn remove(&self, id: &ArtifactId, place: Place) -> PitResult<u64> {
        let path = self.path(id, place);
        let about = std::fs::metadata(&path).map_err(PitError::io("look at", &path))?;
        disk::remove(&path).map_err(PitError::io("remove", &path))?;
        Ok(about.len())
    }

    /// Moves a blob's file into the archive.
    pub(super) fn archive(&self, id: &ArtifactId) -> PitResult<()> {
        let to = self.path(id, Place::Archive);
        rename(&self.path(id, Place::File), &to)?;
        self.settle_name(&to)
    }

    /// Says of a draft, or of the blob's file where there is none, that it is of `at`, in Unix seconds. Before it has its name
    /// in the archive, so that no file there has another time; and under no lock.
    pub(super) fn date(&self, draft: Option<&Draft>, id: &ArtifactId, at: f64) -> PitResult<()> {
        if let Some(draft) = draft {
            return self.date_file(&draft.file, &draft.path, at);
        }
        let (path, file) = self.locate(id, Place::File)?;
        self.date_file(&file, &path, at)
    }

    fn date_file(&self, file: &File, path: &Path, at: f64) -> PitResult<()> {
        let at = UNIX_EPOCH + component::span(at).unwrap_or_default();
        disk::date(file, at).map_err(PitError::io("date", path))?;
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Power => disk::sync_all(file).map_err(PitError::io("flush", path)),
        }
    }

    /// When a file was last written, or dated, in Unix seconds.
    pub(super) fn modified(&self, id: &ArtifactId, place: Place) -> PitResult<f64> {
        let path = self.path(id, place);
        let modified = std::fs::metadata(&path).and_then(|about| about.modified());
        let since = modified.map_err(PitError::io("look at", &path))?.duration_since(UNIX_EPOCH);
        Ok(since.map_or(0.0, |since| since.as_secs_f64()))
    }

    /// A crash between the rename into the archive and its record leaves a file in the other folder.
    fn locate(&self, id: &ArtifactId, place: Place) -> PitResult<(PathBuf, File)> {
        let path = self.path(id, place);
        let error = match disk::open(&path, OpenAs::Read) {
            Ok(file) => return Ok((path, file)),
            Err(error) => error,
        };
        let other = if place == Place::Archive { Place::File } else { Place::Archive };
        if error.kind() == io::ErrorKind::NotFound {
            let path = self.path(id, other);
            if let Ok(file) = disk::open(&path, OpenAs::Read) {
                return Ok((path, file));
            }
        }
        Err(PitError::io("open", path)(error))
    }

    fn settle_name(&self, to: &Path) -> PitResult<()> {
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Power => sync_folder_of(to),
        }
    }

    pub(super) fn path(&self, id: &ArtifactId, place: Place) -> PathBuf {
        let folder = if place == Place::Archive { &self.archive } else { &self.blobs };
        let name = id.to_string();
        folder.join(&name[..2]).join(name)
    }

    fn temporary_path(&self) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.temporary.join(format!("{:016x}-{number}", self.session))
    }
}

impl Draft {
    /// Adds bytes.
    pub(super) fn write(&mut self, data: &[u8]) -> PitResult<()> {
        disk::write_all(&self.file, data).map_err(PitError::io("write", &self.path))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.adopted
            && let Err(error) = disk::remove(&self.path)
            // The whole folder went, or the next store emptied it.
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a temporary file stays until the next start");
        }
    }
}

/// Renames a file, and makes the folder that it goes to where that is not there.
fn rename(from: &Path, to: &Path) -> PitResult<()> {
    match disk::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = to.parent() {
                make_folder(folder)?;
            }
            disk::rename(from, to).map_err(PitError::io("create", to))?;
        }
        other => other.map_err(PitError::io("create", to))?,
    }
    Ok(())
}

/// What is in a folder; nothing where there is none.
fn names(folder: &Path) -> PitResult<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if crate::kept_name::is_absence(&error) => return Ok(Vec::new()),
        entries => entries.map_err(PitError::io("look into", folder))?,
    };
    entries.map(|entry| Ok(entry.map_err(PitError::io("look into", folder))?.path())).collect()
}

/// Whether a file was not there.
pub(super) fn is_absent(error: &PitError) -> bool {
    matches!(error, PitError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// Makes a folder and those above it.
pub(super) fn make_folder(path: &Path) -> PitResult<()> {
    disk::make_folder(path).map_err(PitError::io("create the folder", path))
}
