//! What a journal was known to hold, kept in a small file beside it.
//!
//! Written by the journal at its first record, when it is written anew and when it is closed; read before it is opened.
//! So a journal that is missing, empty or cut when it is opened is known for one. Invariants: it never says more than what
//! was on the disk when it was written, or it speaks for this start of the machine alone: a power cut may spare the mark and
//! not what was never flushed. One that cannot be read says nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::disk::{self, OpenAs};
use crate::journal_file;
use crate::journal_frame::{Place, array, checksum};

const MAGIC: [u8; 8] = *b"sympmark";
const BYTES: usize = 32;
/// A number of each start of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// A place in a journal, for whoever keeps something derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Changes each time the journal is written anew.
    pub generation: u64,
    /// The byte after the last record that is covered.
    pub offset: u64,
}

/// A mark as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) mark: Mark,
    /// What it says was on the disk, under its name, when it was written. Otherwise only the page cache is known to have it,
    /// and the mark counts until the machine starts again.
    pub(crate) is_flushed: bool,
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

    /// What was kept last; none where nothing was, nothing that can be read, or nothing that counts since the machine started.
    pub(crate) fn read(&self) -> Option<Kept> {
        let bytes = std::fs::read(&self.path).ok()?;
        let bytes: [u8; BYTES] = bytes.try_into().ok()?;
        let mark = Mark {
            generation: u64::from_le_bytes(array(&bytes[8..16])),
            offset: u64::from_le_bytes(array(&bytes[16..24])),
        };
        let is_flushed = bytes == encoded(mark, FLUSHED);
        let counts = is_flushed || this_boot().is_some_and(|boot| bytes == encoded(mark, boot));
        counts.then_some(Kept { mark, is_flushed })
    }

    /// Keeps a mark. A disk that refuses costs only what the mark would have told.
    pub(crate) fn write(&self, kept: Kept) {
        let Some(boot) = (if kept.is_flushed { Some(FLUSHED) } else { this_boot() }) else {
            return;
        };
        if let Err(error) = self.try_write(&encoded(kept.mark, boot)) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "how far a journal goes could not be kept beside it");
        }
    }

    /// As it was kept before the machine was started again.
    #[cfg(test)]
    pub(crate) fn age(&self) {
        let kept = self.read().expect("a mark");
        let boot = this_boot().expect("a number of this start") ^ 2;
        let boot = if kept.is_flushed { FLUSHED } else { boot };
        self.try_write(&encoded(kept.mark, boot)).expect("written");
    }

    fn try_write(&self, bytes: &[u8; BYTES]) -> io::Result<()> {
        let file = disk::open(&self.path, OpenAs::Made)?;
        // In place: it needs no room on a full disk, and one that was torn says nothing.
        disk::write_all_at(&file, bytes, 0)
    }
}

/// In the place of a boot: the mark counts after every one.
const FLUSHED: u64 = 0;

/// A number of this start of the machine, never [`FLUSHED`]; none where the system does not tell.
fn this_boot() -> Option<u64> {
    static BOOT_NUMBER: OnceLock<Option<u64>> = OnceLock::new();
    *BOOT_NUMBER.get_or_init(|| {
        let id = std::fs::read(BOOT).ok()?;
        Some(u64::from_le_bytes(array(&blake3::hash(&id).as_bytes()[..8])) | 1)
    })
}

fn encoded(mark: Mark, boot: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&mark.generation.to_le_bytes());
    bytes[16..24].copy_from_slice(&mark.offset.to_le_bytes());
    let check = checksum(Place { generation: mark.generation, offset: boot }, &bytes[..24]);
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
        for (generation, offset, is_flushed) in [(7, 99, false), (8, 50, true), (8, 60, false)] {
            let said = Kept { mark: Mark { generation, offset }, is_flushed };
            kept.write(said);
            assert_eq!(kept.read(), Some(said));
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
    #[test]
    fn what_was_not_flushed_counts_until_the_machine_starts_again() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptMark::of(&folder.path().join("journal"));
        for is_flushed in [true, false] {
            kept.write(Kept { mark: Mark { generation: 7, offset: 99 }, is_flushed });
            kept.age();
            assert_eq!(kept.read().is_some(), is_flushed);
        }
    }
}
