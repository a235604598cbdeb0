//! Whether bytes are a shared library that this machine's linker can map.
//!
//! Called before a library is loaded. The linker trusts what a file says of itself: of one that was cut short it maps pages
//! that are not there, and the process dies when they are touched. Invariant: what passes has every byte that will be
//! mapped.

use std::env::consts::ARCH;

/// Where the fields of an ELF header of 64 bits stand.
const CLASS: usize = 4;
const ORDER: usize = 5;
const TYPE: usize = 16;
const MACHINE: usize = 18;
const SEGMENTS_AT: usize = 32;
const SEGMENT_SIZE: usize = 54;
const SEGMENT_COUNT: usize = 56;
/// The header's own length.
const HEADER: usize = 64;

/// A segment's header, and where its fields stand.
const SEGMENT: u16 = 56;
const KIND: usize = 0;
const OFFSET: usize = 8;
const LENGTH: usize = 32;

const CLASS_64: u8 = 2;
const OWN_ORDER: u8 = if cfg!(target_endian = "little") { 1 } else { 2 };
const SHARED: u16 = 3;
const LOADED: u32 = 1;

/// The numbers of machines, with what people call them.
const MACHINES: &[(u16, &str)] =
    &[(3, "x86"), (40, "arm"), (62, "x86_64"), (183, "aarch64"), (243, "riscv64")];

/// Finds out why the linker must not be given these bytes.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err("it is no shared library".to_owned());
    }
    if bytes.len() < HEADER {
        return Err(short(bytes, HEADER as u64));
    }
    if bytes[CLASS] != CLASS_64 || bytes[ORDER] != OWN_ORDER {
        return Err(format!("it was built for another kind of machine than {ARCH}"));
    }
    let machine = u16::from_ne_bytes(field(bytes, MACHINE)?);
    let is_own = MACHINES.iter().find(|(_, name)| *name == ARCH).is_none_or(|own| own.0 == machine);
    if !is_own {
        let known = MACHINES.iter().find(|(number, _)| *number == machine);
        let built = known.map_or_else(|| format!("machine {machine}"), |known| known.1.to_owned());
        return Err(format!("it was built for {built}, this is {ARCH}"));
    }
    if u16::from_ne_bytes(field(bytes, TYPE)?) != SHARED {
        return Err("it is a program or an object file, and no shared library".to_owned());
    }
    segments(bytes)
}

/// Whether everything that will be mapped is there.
fn segments(bytes: &[u8]) -> Result<(), String> {
    let at = u64::from_ne_bytes(field(bytes, SEGMENTS_AT)?);
    let size = u16::from_ne_bytes(field(bytes, SEGMENT_SIZE)?);
    let count = u16::from_ne_bytes(field(bytes, SEGMENT_COUNT)?);
    if size != SEGMENT {
        return Err(format!("a segment of it is described by {size} bytes, not by {SEGMENT}"));
    }
    for header in part(bytes, at, u64::from(size) * u64::from(count))?.chunks_exact(SEGMENT.into())
    {
        if u32::from_ne_bytes(field(header, KIND)?) == LOADED {
            let at = u64::from_ne_bytes(field(header, OFFSET)?);
            part(bytes, at, u64::from_ne_bytes(field(header, LENGTH)?))?;
        }
    }
    Ok(())
}

/// So many bytes from there.
fn part(bytes: &[u8], at: u64, length: u64) -> Result<&[u8], String> {
    let end = at.saturating_add(length);
    let range = usize::try_from(at).ok().zip(usize::try_from(end).ok());
    range.and_then(|(at, end)| bytes.get(at..end)).ok_or_else(|| short(bytes, end))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], String> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.copied().ok_or_else(|| short(bytes, (at + N) as u64))
}

fn short(bytes: &[u8], needed: u64) -> String {
    format!("it was cut short: {} of at least {needed} bytes are there", bytes.len())
}
