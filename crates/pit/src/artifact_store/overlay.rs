//! A file as redb may use it while nothing of it is changed: what it writes stays in memory.
//!
//! Called for the look at all checksums of an index that is in use: redb repairs what it opens, and the file is another's.
//! Invariant: the file itself is only read, and a check that nobody waits for any more ends at its next read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use redb::StorageBackend;

const BLOCK: usize = 4096;

#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    length: AtomicU64,
    /// Blocks that were written, by their number.
    written: Mutex<BTreeMap<u64, Vec<u8>>>,
    ending: Arc<AtomicBool>,
}

impl Overlay {
    /// Over this file; every read fails once `ending` is set.
    pub(super) fn new(file: File, ending: Arc<AtomicBool>) -> io::Result<Self> {
        let length = AtomicU64::new(file.metadata()?.len());
        Ok(Self { file, length, written: Mutex::default(), ending })
    }

    /// What the file has there; zeroes behind its end.
    fn read_file(&self, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            match self.file.read_at(out, offset) {
                Ok(0) => {
                    out.fill(0);
                    return Ok(());
                }
                Ok(count) => {
                    out = &mut out[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The parts of a range by blocks: the block, where in it, and how much of the range.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = usize::try_from(at % BLOCK as u64).unwrap_or_default();
        let count = (BLOCK - within).min(length - done);
        done += count;
        (count > 0).then_some((at / BLOCK as u64, within, count))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.length.load(Ordering::Acquire))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.ending.load(Ordering::Acquire) {
            return Err(io::Error::other("the store is closed"));
        }
        self.read_file(offset, out)?;
        let written = self.written.lock();
        if written.is_empty() {
            return Ok(());
        }
        let mut done = 0;
        for (block, within, count) in parts(offset, out.len()) {
            if let Some(bytes) = written.get(&block) {
                out[done..done + count].copy_from_slice(&bytes[within..within + count]);
            }
            done += count;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.length.store(length, Ordering::Release);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock();
        let mut done = 0;
        for (block, within, count) in parts(offset, data.len()) {
            let bytes = match written.entry(block) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => {
                    let mut bytes = vec![0; BLOCK];
                    self.read_file(block * BLOCK as u64, &mut bytes)?;
                    new.insert(bytes)
                }
            };
            bytes[within..within + count].copy_from_slice(&data[done..done + count]);
            done += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_the_file_does_that_would_have_been_written() {
        let (over, plain) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let first: Vec<u8> = (0..20_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        for file in [&over, &plain] {
            file.write_all_at(&first, 0).unwrap();
        }
        let overlay = Overlay::new(over.try_clone().unwrap(), Arc::default()).unwrap();
        for (offset, length) in
            [(0_u64, 1), (4095, 2), (5000, 9000), (19_990, 10_000), (4096, 4096)]
        {
            let bytes = vec![offset.to_le_bytes()[0] | 1; length];
            overlay.write(offset, &bytes).unwrap();
            plain.write_all_at(&bytes, offset).unwrap();
        }
        for (offset, length) in [(0, 29_990), (4000, 200), (12_287, 4098)] {
            let (mut got, mut wanted) = (vec![0; length], vec![0; length]);
            overlay.read(offset, &mut got).unwrap();
            plain.read_exact_at(&mut wanted, offset).unwrap();
            assert!(got == wanted, "{offset}");
        }
        let mut untouched = vec![0; first.len()];
        over.read_exact_at(&mut untouched, 0).unwrap();
        assert!(untouched == first);
        overlay.ending.store(true, Ordering::Release);
        assert!(overlay.read(0, &mut [0]).is_err());
    }
}
