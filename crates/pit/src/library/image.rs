//! A library's bytes: read once, hashed, copied to a sealed memory file. What is loaded is what was hashed, whatever
//! happens to the file on disk meanwhile.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use sha2::{Digest, Sha256};

use super::elf;
use crate::{PitError, PitResult};

/// The checked bytes of a library.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) sha256: String,
    bytes: Vec<u8>,
}

impl Image {
    /// Reads and hashes a file, and compares with the hash that it must have.
    pub(super) fn read(path: &Path, pinned: Option<&str>) -> PitResult<Self> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(PitError::io("read the library", path))?;
        let sha256 = hexadecimal(&Sha256::digest(&bytes));
        match pinned {
            Some(pinned) if !pinned.eq_ignore_ascii_case(&sha256) => Err(PitError::Library {
                path: path.to_owned(),
                reason: format!("its SHA-256 is `{sha256}`, pinned is `{pinned}`"),
            }),
            _ => Ok(Self { sha256, bytes }),
        }
    }

    /// Refuses what the linker would die of, or could only call unfit.
    pub(super) fn check(&self, path: &Path) -> PitResult<()> {
        let refused = |reason| PitError::Library { path: path.to_owned(), reason };
        elf::check(&self.bytes).map_err(refused)
    }

    /// Copies the bytes to a memory file that nobody can change any more. The dynamic linker knows libraries by their
    /// path, so the descriptor must stay open as long as the library is loaded: a number that is used again would give
    /// it another library's path.
    pub(super) fn seal(&self, path: &Path) -> PitResult<(OwnedFd, PathBuf)> {
        let failed = || PitError::io("copy to a sealed memory file the library", path);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Kernels from 6.3 on want to be told that it will be mapped for execution; older ones do not know the flag.
        let memory = memfd_create("symphony-pit", flags | MemfdFlags::EXEC)
            .or_else(|_| memfd_create("symphony-pit", flags))
            .map_err(|error| failed()(error.into()))?;
        let mut file = File::from(memory);
        file.write_all(&self.bytes).map_err(failed())?;
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).map_err(|error| failed()(error.into()))?;
        let memory = OwnedFd::from(file);
        let name = PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd()));
        Ok((memory, name))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
