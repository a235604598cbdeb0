//! The first bytes of a journal: whose it is, in which version, and the generation that its frames are bound to.
//!
//! Called by the journal alone. Invariant: no file of another kind or version passes, and none whose header is damaged.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::disk;
use crate::journal_frame::{Place, array, checksum};
use crate::{PitError, PitResult};

const HEADER_BYTES: usize = 32;
/// Where the first frame begins.
pub(crate) const HEADER: u64 = HEADER_BYTES as u64;

/// Which member's journal it is, and in which version of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Eight bytes that no other file begins with.
    pub magic: [u8; 8],
    /// The version of the records; a journal of another version is refused.
    pub version: u16,
}

/// The header of a file of this format and generation.
pub(crate) fn bytes(format: Format, generation: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&format.magic);
    bytes[8..10].copy_from_slice(&format.version.to_le_bytes());
    bytes[16..24].copy_from_slice(&generation.to_le_bytes());
    let check = checksum(Place { generation, offset: 0 }, &bytes[..24]);
    bytes[24..].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// Reads the generation from a file's header.
///
/// # Errors
/// [`PitError::Corrupt`] for a file that is no journal of this kind, [`PitError::Format`], [`PitError::Io`].
pub(crate) fn read(file: &File, path: &Path, format: Format) -> PitResult<u64> {
    let damage = |reason| PitError::Corrupt { path: path.to_owned(), offset: 0, reason };
    let mut bytes = [0; HEADER_BYTES];
    match disk::read_exact_at(file, &mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(damage("it is too short for a journal"));
        }
        other => other.map_err(PitError::io("read", path))?,
    }
    if bytes[..8] != format.magic {
        return Err(damage("it is not a journal of this kind"));
    }
    let generation = u64::from_le_bytes(array(&bytes[16..24]));
    let found = u16::from_le_bytes(array(&bytes[8..10]));
    if self::bytes(Format { version: found, ..format }, generation) != bytes {
        return Err(damage("its header's checksum is wrong"));
    }
    if found != format.version {
        let path = path.to_owned();
        return Err(PitError::Format { path, found, supported: format.version });
    }
    Ok(generation)
}
