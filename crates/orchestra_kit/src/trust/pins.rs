//! What a folder holds, by the hash of each file.
//!
//! Invariant: a file that may be run has a pin, or the folder has none at all. What is left out is reached by no link, and
//! by no program of a manifest (`programs`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use sha2::{Digest as _, Sha256};

use super::error::TrustError;

/// A folder of which nothing is run: a history.
const HISTORY: &str = ".git";
/// A folder of which guests of a project read no cached code; what else lies in it is pinned.
const CACHE: &str = "__pycache__";
/// How deep folders may be nested, so that what is pinned has an end.
const DEEPEST: usize = 64;

/// The files of a folder, by their paths in it, each with the SHA-256 of what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Pins(BTreeMap<String, String>);

impl Pins {
    /// How many files there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a file holds, by its path in the folder.
    pub(super) fn hash_of(&self, file: &str) -> Option<&String> {
        self.0.get(file)
    }

    /// What is different from `pinned`, in words: changed ones first.
    pub(super) fn differences(&self, pinned: &Self) -> Vec<String> {
        let changed = self
            .0
            .iter()
            .filter(|(file, hash)| pinned.0.get(*file).is_some_and(|before| before != *hash));
        let new = self.0.keys().filter(|file| !pinned.0.contains_key(*file));
        let gone = pinned.0.keys().filter(|file| !self.0.contains_key(*file));
        let changed = changed.map(|(file, _)| format!("`{file}` was changed"));
        let new = new.map(|file| format!("`{file}` is new"));
        changed.chain(new).chain(gone.map(|file| format!("`{file}` is gone"))).collect()
    }
}

/// Hashes everything that lies in a folder.
///
/// # Errors
/// Something cannot be read, has no name in UTF-8, or leads out of the folder.
pub fn pins_of(folder: &Path) -> Result<Pins, TrustError> {
    let mut pins = Pins::default();
    walk(folder, folder, 0, &mut pins)?;
    Ok(pins)
}

fn walk(root: &Path, folder: &Path, depth: usize, pins: &mut Pins) -> Result<(), TrustError> {
    let refused =
        |path: &Path, why: &'static str| TrustError::Refused { path: path.to_owned(), why };
    if depth > DEEPEST {
        return Err(refused(folder, "is nested too deep"));
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TrustError::Read { path, source }
    };
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed(&path))?;
        let inside = path.strip_prefix(root).unwrap_or(&path);
        let Some(name) = inside.to_str() else {
            return Err(refused(&path, "has a name that is not UTF-8"));
        };
        if kind.is_dir() {
            if entry.file_name() != HISTORY {
                walk(root, &path, depth + 1, pins)?;
            }
            continue;
        }
        if kind.is_file() && is_left_out(Path::new(name)) {
            continue;
        }
        let mut hash = Sha256::new();
        if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(failed(&path))?;
            hash.update(b"link\0");
            hash.update(target.as_os_str().as_encoded_bytes());
            hash.update(b"\0");
            let about = fs::metadata(&path);
            if about.as_ref().is_ok_and(fs::Metadata::is_dir) {
                // What is in it is pinned where it lies, if it lies here.
                let real: PathBuf = path.canonicalize().map_err(failed(&path))?;
                if !real.starts_with(root) {
                    return Err(refused(&path, "is a link to a folder outside"));
                }
                if real
                    .iter()
                    .skip(root.iter().count())
                    .any(|part| part == HISTORY || part == CACHE)
                {
                    return Err(refused(&path, "is a link to a folder that is not pinned"));
                }
            } else if about.is_ok_and(|about| about.is_file()) {
                let real = path.canonicalize().map_err(failed(&path))?;
                contents(&real, &mut hash).map_err(failed(&path))?;
            }
        } else if kind.is_file() {
            contents(&path, &mut hash).map_err(failed(&path))?;
        } else {
            return Err(refused(&path, "is neither a file nor a folder"));
        }
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        pins.0.insert(name.to_owned(), text);
    }
    Ok(())
}

/// Whether a file of a folder has no pin: its path in it, without links.
pub(super) fn is_left_out(file: &Path) -> bool {
    let cached = || {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // Cached by an interpreter of some kind (`code.cpython-312.pyc`): what has no tag could be imported as it is.
        let tagged = name.strip_suffix(".pyc").is_some_and(|stem| stem.contains('.'));
        tagged && file.parent().and_then(Path::file_name).is_some_and(|folder| folder == CACHE)
    };
    file.parent().is_some_and(|folder| folder.iter().any(|part| part == HISTORY)) || cached()
}

/// Hashes a file and nothing else, whatever takes its place meanwhile: a pipe would wait for whoever writes to it.
pub(super) fn contents(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file any more"));
    }
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        hash.update(&piece[..count]);
    }
}
