//! The frames of a journal: how a record is written, read back, and looked for behind a torn one.
//!
//! Called by the journal alone. A frame is `length u32, head check u32, checksum u64, payload`, little endian. The
//! checksum is the head of a BLAKE3 over generation, offset and payload, so bytes of an older file or place never pass
//! for a record. Invariant: what [`find`] costs is linear in the bytes that it looks at, whatever they are: the head
//! check, of which nobody knows the generation in advance, says for nearly every offset that no record begins there.

use std::io::{self, Read};

use component::memory;

/// Bytes before the payload.
pub(crate) const FRAME: usize = 16;
/// The longest record; more than that in a length field is damage.
pub const MAX_RECORD: usize = 16 << 20;
/// Bytes that a search looks at in one piece.
const PIECE: usize = 1 << 20;
/// Odd, and with as many ones as zeroes in no order: a product by it reaches all higher bits.
const SPREAD: u64 = 0xB5AD_4ECE_DA1C_E2A9;

/// Where a frame stands: its generation and offset are part of what its checks are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) generation: u64,
    pub(crate) offset: u64,
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy)]
struct Head {
    length: usize,
    checksum: u64,
}

impl Head {
    /// The head in these bytes; none where no frame can begin, or none that ends by `room` bytes after its begin.
    fn read(bytes: &[u8], place: Place, room: u64) -> Option<Self> {
        let word = u32::from_le_bytes(array(&bytes[..4]));
        let length = word as usize;
        // First what costs nothing: of the bytes of a record few look like a length.
        if length > MAX_RECORD || (FRAME + length) as u64 > room {
            return None;
        }
        let checksum = u64::from_le_bytes(array(&bytes[8..FRAME]));
        let check = u32::from_le_bytes(array(&bytes[4..8]));
        (check == head_check(place, word, checksum)).then_some(Self { length, checksum })
    }
}

/// Adds the frame of `record` to `frames`, which will be written so that it stands at `place`. The caller has seen to
/// it that the record is not too long.
pub(crate) fn push(frames: &mut Vec<u8>, place: Place, length: u32, record: &[u8]) {
    let checksum = checksum(place, record);
    frames.extend_from_slice(&length.to_le_bytes());
    frames.extend_from_slice(&head_check(place, length, checksum).to_le_bytes());
    frames.extend_from_slice(&checksum.to_le_bytes());
    frames.extend_from_slice(record);
}

/// Reads the frame at `place` into `payload`; false where no whole and intact frame stands.
///
/// # Errors
/// What the reader says.
pub(crate) fn read(
    reader: &mut impl Read,
    place: Place,
    end: u64,
    payload: &mut Vec<u8>,
) -> io::Result<bool> {
    let room = end - place.offset;
    if room < FRAME as u64 {
        return Ok(false);
    }
    let mut bytes = [0; FRAME];
    reader.read_exact(&mut bytes)?;
    let Some(head) = Head::read(&bytes, place, room) else { return Ok(false) };
    memory::resize(payload, head.length)?;
    reader.read_exact(payload)?;
    Ok(checksum(place, payload) == head.checksum)
}

/// Where the first whole and intact frame begins from `place` on, in a file that ends at `end`. `read_at` fills a buffer
/// from an offset of the file.
///
/// # Errors
/// What `read_at` says.
pub(crate) fn find(
    place: Place,
    end: u64,
    mut read_at: impl FnMut(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<Option<u64>> {
    let Place { generation, mut offset } = place;
    let mut piece = Vec::new();
    let mut payload = Vec::new();
    while end.saturating_sub(offset) >= FRAME as u64 {
        let length = usize::try_from(end - offset).map_or(PIECE, |left| left.min(PIECE));
        memory::resize(&mut piece, length)?;
        read_at(&mut piece, offset)?;
        for bytes in piece.windows(FRAME) {
            let place = Place { generation, offset };
            if let Some(head) = Head::read(bytes, place, end - offset) {
                memory::resize(&mut payload, head.length)?;
                read_at(&mut payload, offset + FRAME as u64)?;
                if checksum(place, &payload) == head.checksum {
                    return Ok(Some(offset));
                }
            }
            offset += 1;
        }
    }
    Ok(None)
}

/// The head of a BLAKE3 over place and payload.
pub(crate) fn checksum(place: Place, payload: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&place.generation.to_le_bytes());
    bytes[8..].copy_from_slice(&place.offset.to_le_bytes());
    hasher.update(&bytes).update(payload);
    u64::from_le_bytes(array(&hasher.finalize().as_bytes()[..8]))
}

/// Cheap, as a search asks for it at every byte; whether a record is intact is for the checksum to say.
fn head_check(place: Place, length: u32, checksum: u64) -> u32 {
    let mut mixed = place.generation;
    for word in [place.offset, u64::from(length), checksum] {
        mixed = (mixed ^ word).wrapping_mul(SPREAD);
        mixed ^= mixed >> 32;
    }
    let bytes = mixed.wrapping_mul(SPREAD).to_le_bytes();
    u32::from_le_bytes(array(&bytes[4..]))
}

/// The first bytes as an array.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATION: u64 = 0x1234_5678_9ABC_DEF0;

    fn at(offset: u64) -> Place {
        Place { generation: GENERATION, offset }
    }

    /// Looks for a frame in `bytes` and answers how many bytes were read for it; twice what there is must do.
    fn found_in(bytes: &[u8]) -> (Option<u64>, usize) {
        let mut looked_at = 0;
        let found = find(at(0), bytes.len() as u64, |buffer, offset| {
            looked_at += buffer.len();
            assert!(looked_at <= 2 * bytes.len() + PIECE, "the search is not linear");
            let start = usize::try_from(offset).unwrap();
            buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
            Ok(())
        });
        (found.unwrap(), looked_at)
    }

    #[test]
    fn the_search_is_linear_whatever_the_bytes_look_like() {
        let words = |word: [u8; 4]| word.repeat(1 << 18);
        // Each looks at most offsets like the length of a record that fits: 4096, 1, 0, and what there is to the end.
        let all = 4_u32 << 18;
        let to_the_end =
            (0..all).step_by(4).flat_map(|at| all.saturating_sub(at + 16).to_le_bytes());
        for bytes in [
            words([0, 0, 16, 0]),
            words([0, 16, 0, 0]),
            words([1, 0, 0, 0]),
            words([0; 4]),
            to_the_end.collect(),
        ] {
            assert_eq!(found_in(&bytes).0, None);
        }
    }

    #[test]
    fn an_intact_frame_is_found_wherever_it_begins_also_across_pieces_and_behind_the_longest_record()
     {
        for start in
            [0, 1, 15, PIECE - 17, PIECE - 15, PIECE - 1, PIECE, 2 * PIECE, MAX_RECORD + 99]
        {
            for record in [&b"whole"[..], b""] {
                let mut bytes = vec![7; start];
                let length = u32::try_from(record.len()).unwrap();
                push(&mut bytes, at(start as u64), length, record);
                assert_eq!(found_in(&bytes).0, Some(start as u64), "at {start}");
                bytes.extend([7; 40]);
                assert_eq!(found_in(&bytes).0, Some(start as u64), "at {start}");
                bytes.truncate(start + FRAME + record.len() - 1);
                assert_eq!(found_in(&bytes).0, None, "cut, at {start}");
            }
        }
    }

    #[test]
    fn a_frame_of_another_place_or_file_is_none() {
        let mut bytes = Vec::new();
        push(&mut bytes, at(1), 4, b"back");
        assert_eq!(found_in(&bytes).0, None);
        bytes.clear();
        push(&mut bytes, Place { generation: GENERATION + 1, offset: 0 }, 4, b"back");
        assert_eq!(found_in(&bytes).0, None);
    }
}
