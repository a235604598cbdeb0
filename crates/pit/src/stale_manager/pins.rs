//! Pinned artifacts, kept in a journal of their own.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::artifact_store::ArtifactId;
use crate::journal::{Format, Journal};
use crate::state_guard::UntilClosed;
use crate::{Durability, PitError, PitResult, StateGuard};

const FORMAT: Format = Format { magic: *b"sympins\0", version: 2 };
const PIN: u8 = 1;
const UNPIN: u8 = 0;
/// Records beyond twice the pins at which the journal is written anew.
const SLACK: u64 = 1000;

#[derive(Debug)]
pub(super) struct Pins {
    journal: Journal,
    pinned: RwLock<HashSet<ArtifactId>>,
    /// Set and looked at under the lock of `pinned`.
    closed: AtomicBool,
    guard: UntilClosed,
}

impl Pins {
    pub(super) fn open(path: &Path, durability: Durability, guard: StateGuard) -> PitResult<Self> {
        let mut pinned = HashSet::new();
        let opening = Journal::begin_kept(path, FORMAT, durability)?;
        opening.refuse_cut(None)?;
        let journal = opening.replay(None, |_, record| {
            let reason = "it is not a record of a pin";
            let unknown = || PitError::Corrupt { path: path.to_owned(), offset: 0, reason };
            let (id, kind) = record.split_first_chunk::<32>().ok_or_else(unknown)?;
            let id = ArtifactId::from_bytes(*id);
            match kind {
                [PIN] => pinned.insert(id),
                [UNPIN] => pinned.remove(&id),
                _ => return Err(unknown()),
            };
            Ok(())
        })?;
        if journal.recovery().records > SLACK + 2 * pinned.len() as u64
            && let Err(error) = journal.rewrite(records(&pinned))
        {
            // A full disk must not keep the system down: it goes on with the long one.
            tracing::warn!(%error, "the journal of pins was not shortened; it is tried again at the next start");
        }
        let (closed, guard) = (AtomicBool::new(false), UntilClosed::new(guard));
        Ok(Self { journal, pinned: RwLock::new(pinned), closed, guard })
    }

    pub(super) fn contains(&self, id: &ArtifactId) -> bool {
        self.pinned.read().contains(id)
    }

    /// Pins or unpins; answers whether that changed anything.
    pub(super) fn set(&self, id: &ArtifactId, pin: bool) -> PitResult<bool> {
        let mut pinned = self.pinned.write();
        if self.closed.load(Ordering::Relaxed) {
            return Err(PitError::Stopped { member: "stale-manager" });
        }
        // First: what a failed call has left is on the disk before anybody is told that there is nothing to do.
        if self.journal.is_broken() {
            self.journal.rewrite(records(&pinned))?;
        }
        if pinned.contains(id) == pin {
            return Ok(false);
        }
        let record = record(id, if pin { PIN } else { UNPIN });
        let written = self.journal.write_all([record.as_slice()])?;
        if pin {
            pinned.insert(*id)
        } else {
            pinned.remove(id)
        };
        drop(pinned);
        self.journal.settle(written).inspect_err(|_| {
            if !pin {
                // The disk may still say so, and does again once the journal is written anew.
                self.pinned.write().insert(*id);
            }
        })?;
        Ok(true)
    }

    /// Flushes the journal, which is written anew where it is broken, and lets go of it. May be called twice.
    ///
    /// # Errors
    /// [`PitError::Io`]; the file is let go of all the same.
    pub(super) fn close(&self) -> PitResult<()> {
        let pinned = self.pinned.write();
        let closed = self.closed.swap(true, Ordering::Relaxed);
        if closed {
            return Ok(());
        }
        let _closing = self.guard.closing();
        let broken = self.journal.is_broken();
        let mended = if broken { self.journal.rewrite(records(&pinned)).map(drop) } else { Ok(()) };
        drop(pinned);
        let closed = self.journal.close();
        mended.and(closed)
    }

    pub(super) fn all(&self) -> Vec<ArtifactId> {
        let mut pinned: Vec<_> = self.pinned.read().iter().copied().collect();
        pinned.sort_unstable();
        pinned
    }
}

/// The records that pin all of these; one at least, as a journal without any says that it lost them.
fn records(pinned: &HashSet<ArtifactId>) -> impl Iterator<Item = Vec<u8>> {
    let none = pinned.is_empty().then(|| record(&ArtifactId::of(b""), UNPIN));
    none.into_iter().chain(pinned.iter().map(|id| record(id, PIN)))
}

fn record(id: &ArtifactId, kind: u8) -> Vec<u8> {
    let mut record = id.as_bytes().to_vec();
    record.push(kind);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_go_on_in_a_new_journal_when_a_flush_failed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        let open = || Pins::open(&path, Durability::Power, StateGuard::default()).unwrap();
        let [first, second, third] = [b"1", b"2", b"3"].map(|data| ArtifactId::of(data));
        let pins = open();
        pins.set(&first, true).unwrap();
        pins.journal.lose_the_disk();
        assert!(pins.set(&second, true).is_err());
        pins.set(&third, true).unwrap();
        drop(pins);
        let again = open();
        assert!(again.contains(&first) && again.contains(&third));
    }

    #[test]
    fn pins_that_a_full_disk_does_not_take_at_the_close_are_told_and_the_file_is_let_go_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        let lock = std::sync::Arc::new(());
        let guard = StateGuard::new(std::sync::Arc::clone(&lock));
        let pins = Pins::open(&path, Durability::Process, guard).unwrap();
        let id = ArtifactId::of(b"1");
        pins.set(&id, true).unwrap();
        pins.journal.break_now();
        crate::disk::faults::fill_disk(1);
        assert!(matches!(pins.close(), Err(PitError::Io { .. })));
        assert!(matches!(pins.journal.sync(), Err(PitError::Stopped { .. })));
        assert_eq!(std::sync::Arc::strong_count(&lock), 1);
        pins.close().unwrap();
        assert!(
            Pins::open(&path, Durability::Process, StateGuard::default()).unwrap().contains(&id)
        );
    }

    #[test]
    fn pins_whose_journal_cannot_be_shortened_open_with_the_long_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        let open = || Pins::open(&path, Durability::Process, StateGuard::default()).unwrap();
        let [kept, other] = [b"1", b"2"].map(|data| ArtifactId::of(data));
        let pins = open();
        pins.set(&kept, true).unwrap();
        for round in 0..SLACK + 10 {
            pins.set(&other, round % 2 == 0).unwrap();
        }
        pins.close().unwrap();
        let long = std::fs::metadata(&path).unwrap().len();
        // A folder where the new journal would be written: as on a full disk, it cannot be.
        let unfinished = folder.path().join("pins.new");
        std::fs::create_dir(&unfinished).unwrap();
        let pins = open();
        assert!(pins.contains(&kept) && !pins.contains(&other));
        pins.close().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), long);
        std::fs::remove_dir(&unfinished).unwrap();
        open().close().unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < long / 10);
        assert!(open().contains(&kept));
    }

    #[test]
    fn the_last_pin_that_went_is_no_loss() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        let open = || Pins::open(&path, Durability::Process, StateGuard::default()).unwrap();
        let id = ArtifactId::of(b"1");
        let pins = open();
        for round in 0..SLACK + 10 {
            pins.set(&id, round % 2 == 0).unwrap();
        }
        pins.close().unwrap();
        // Written anew with nothing in it.
        open().close().unwrap();
        assert!(!open().contains(&id));
    }
}
