//! What a folder holds, by the hash of each file.
//!
//! Invariant: a file that may be run has a pin, or the folder has none at all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::TrustError;

/// Folders of which nothing is run: guests of a project read no cached code, and nothing of a history.
const LEFT_OUT: &[&str] = &["__pycache__", ".git"];
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
            let left_out = LEFT_OUT.iter().any(|known| entry.file_name() == *known);
            if !left_out {
                walk(root, &path, depth + 1, pins)?;
            }
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
            } else if about.is_ok_and(|about| about.is_file()) {
                contents(&path, &mut hash).map_err(failed(&path))?;
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

fn contents(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        hash.update(&piece[..count]);
    }
}
