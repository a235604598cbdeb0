//! What a journal was known to hold, kept in a small file beside it.
//!
//! Written by the journal at its first record, when it is written anew and when it is closed; read before it is opened.
//! So a journal that is missing, empty or cut when it is opened is known for one. Invariants: it never says more than what
//! was on the disk when it was written, and one that cannot be read says nothing.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{self, OpenAs};
use crate::frame::{Place, array, checksum};
use crate::journal_file;

const MAGIC: [u8; 8] = *b"sympmark";
const BYTES: usize = 32;

/// A place in a journal, for whoever keeps something derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Changes each time the journal is written anew.
    pub generation: u64,
    /// The byte after the last record that is covered.
    pub offset: u64,
}

/// The file in which a journal's mark is kept.
#[derive(Debug, Clone)]
pub(crate) struct KeptMark {
    path: PathBuf,
}

impl KeptMark {
    pub(crate) fn of(journal: &Path) -> Self {
        Self { path: journal_file::beside(journal, ".mark") }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was kept last; none where nothing was, or nothing that can be read.
    pub(crate) fn read(&self) -> Option<Mark> {
        let bytes = std::fs::read(&self.path).ok()?;
        let bytes: [u8; BYTES] = bytes.try_into().ok()?;
        let mark = Mark {
            generation: u64::from_le_bytes(array(&bytes[8..16])),
            offset: u64::from_le_bytes(array(&bytes[16..24])),
        };
        (bytes == encoded(mark)).then_some(mark)
    }

    /// Keeps a mark. A disk that refuses costs only what the mark would have told.
    pub(crate) fn write(&self, mark: Mark) {
        if let Err(error) = self.try_write(mark) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "how far a journal goes could not be kept beside it");
        }
    }

    fn try_write(&self, mark: Mark) -> io::Result<()> {
        let file = disk::open(&self.path, OpenAs::Made)?;
        // In place: it needs no room on a full disk, and one that was torn says nothing.
        disk::write_all_at(&file, &encoded(mark), 0)
    }
}

fn encoded(mark: Mark) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&mark.generation.to_le_bytes());
    bytes[16..24].copy_from_slice(&mark.offset.to_le_bytes());
    let check = checksum(Place { generation: mark.generation, offset: 0 }, &bytes[..24]);
    bytes[24..].copy_from_slice(&check.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptMark::of(&folder.path().join("journal"));
        assert_eq!(kept.read(), None);
        for mark in [Mark { generation: 7, offset: 99 }, Mark { generation: 8, offset: 50 }] {
            kept.write(mark);
            assert_eq!(kept.read(), Some(mark));
        }
        let whole = std::fs::read(kept.path()).unwrap();
        for at in 0..BYTES {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(kept.path(), &bytes).unwrap();
            assert_eq!(kept.read(), None, "byte {at}");
            std::fs::write(kept.path(), &whole[..at]).unwrap();
            assert_eq!(kept.read(), None, "{at} bytes");
        }
    }
}
