//! Memory that outlives a guest: what the next one of the same extension needs to go on.
//!
//! The root makes it, a sealed file in memory, and hands it to each run; it ends with the root, and nothing of it is on a disk. Invariant:
//! what is read is what was written whole: a write that was cut off leaves the one before.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, pread, pwrite};

/// Two slots of so many bytes, of which the kernel gives only what is written.
const SLOT: u64 = 32 * 1024 * 1024;
const HEADERS: u64 = 4096;
const HEADER: usize = 24;

/// The memory, as a guest has it. Without any, nothing is kept.
pub(crate) struct Kept {
    memory: Option<OwnedFd>,
    sequence: u64,
}

impl Kept {
    pub(crate) const fn new(memory: Option<OwnedFd>) -> Self {
        Self { memory, sequence: 0 }
    }

    /// What the last run wrote.
    pub(crate) fn load(&mut self) -> Option<Vec<u8>> {
        let memory = self.memory.as_ref()?;
        let headers = [0, 1].map(|slot| Header::read(memory, slot));
        let mut found: Vec<(u64, Header)> =
            (0..).zip(headers).filter_map(|(slot, header)| Some((slot, header?))).collect();
        found.sort_by_key(|(_, header)| std::cmp::Reverse(header.sequence));
        self.sequence = found.first().map_or(0, |(_, header)| header.sequence);
        found.into_iter().find_map(|(slot, header)| {
            let mut bytes = vec![0; usize::try_from(header.length.min(SLOT)).ok()?];
            let read = read_all(memory, &mut bytes, HEADERS + slot * SLOT);
            (read && checksum(&bytes) == header.check).then_some(bytes)
        })
    }

    /// Writes what the next run reads. False: it is too much, and what was written before stays.
    pub(crate) fn save(&mut self, bytes: &[u8]) -> bool {
        let Some(memory) = &self.memory else { return true };
        if bytes.len() as u64 > SLOT {
            return false;
        }
        let sequence = self.sequence + 1;
        let slot = sequence % 2;
        let header = Header { sequence, length: bytes.len() as u64, check: checksum(bytes) };
        let written = write_all(memory, bytes, HEADERS + slot * SLOT)
            && write_all(memory, &header.bytes(), slot * HEADER as u64);
        if written {
            self.sequence = sequence;
        }
        written
    }
}

struct Header {
    sequence: u64,
    length: u64,
    check: u64,
}

impl Header {
    fn read(memory: &OwnedFd, slot: u64) -> Option<Self> {
        let mut bytes = [0; HEADER];
        if !read_all(memory, &mut bytes, slot * HEADER as u64) {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        let header = Self { sequence: number(0)?, length: number(8)?, check: number(16)? };
        (header.sequence > 0).then_some(header)
    }

    fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        for (part, number) in
            bytes.chunks_exact_mut(8).zip([self.sequence, self.length, self.check])
        {
            part.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

/// FNV-1a: it tells what was cut off, and no more is asked of it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn read_all(memory: &OwnedFd, mut bytes: &mut [u8], mut at: u64) -> bool {
    while !bytes.is_empty() {
        match pread(memory, &mut *bytes, at) {
            Ok(0) => return false,
            Ok(count) => {
                bytes = &mut bytes[count..];
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

fn write_all(memory: &OwnedFd, mut bytes: &[u8], mut at: u64) -> bool {
    while !bytes.is_empty() {
        match pwrite(memory, bytes, at) {
            Ok(count) => {
                bytes = &bytes[count..];
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::{HEADERS, Kept, SLOT, write_all};

    fn memory() -> OwnedFd {
        let memory = memfd_create("kept", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&memory, HEADERS + 2 * SLOT).unwrap();
        memory
    }

    #[test]
    fn the_next_run_reads_what_the_last_one_wrote_whole() {
        let first = memory();
        let mut kept = Kept::new(Some(first.try_clone().unwrap()));
        assert_eq!(kept.load(), None);
        for text in ["one", "two", "three"] {
            assert!(kept.save(text.as_bytes()));
        }
        assert!(!kept.save(&vec![0; usize::try_from(SLOT).unwrap() + 1]));
        let mut next = Kept::new(Some(first.try_clone().unwrap()));
        assert_eq!(next.load().as_deref(), Some(&b"three"[..]));
        // The fourth is cut off in its bytes: the one in the other slot holds.
        assert!(write_all(&first, b"xxx", HEADERS + SLOT));
        let mut next = Kept::new(Some(first));
        assert_eq!(next.load().as_deref(), Some(&b"two"[..]));
        assert!(next.save(b"four"));
        assert_eq!(next.load().as_deref(), Some(&b"four"[..]));
    }
}
