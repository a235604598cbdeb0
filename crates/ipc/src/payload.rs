//! One msgpack value that stays bytes: results are passed on, spliced and taken apart without being decoded.
//!
//! Invariant: a `Payload` holds exactly one lawful value; whatever cannot be proved so cannot become one.

use bytes::Bytes;
use component::memory;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ValueError;
use crate::scan::{Scanner, Token};
use crate::value::{
    MAX_DEPTH, MAX_VALUES, Value, decode, try_encode, write_list, write_map, write_text,
};

/// Bytes that hold one valid msgpack value. A clone shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    bytes: Bytes,
    /// How deep the value is nested, at most: what splicing must not exceed.
    depth: u8,
    /// How many single values it holds, keys included: what splicing must not exceed either.
    values: u32,
}

/// As many values as a value may hold fit 32 bits.
fn values_of(count: usize) -> Result<u32, ValueError> {
    let fits = u32::try_from(count).ok().filter(|_| count <= MAX_VALUES);
    fits.ok_or(ValueError::Count { limit: MAX_VALUES })
}

/// Limits of depth fit a byte.
fn depth_of(depth: usize) -> Result<u8, ValueError> {
    if depth > MAX_DEPTH {
        return Err(ValueError::Depth { limit: MAX_DEPTH });
    }
    u8::try_from(depth).map_err(|_| ValueError::Depth { limit: MAX_DEPTH })
}

impl Payload {
    /// Takes bytes after checking them.
    ///
    /// # Errors
    /// [`ValueError`] when they are not exactly one lawful value.
    pub fn new(bytes: Bytes) -> Result<Self, ValueError> {
        let mut scanner = Scanner::new(&bytes);
        let depth = depth_of(scanner.skip(MAX_DEPTH)?)?;
        scanner.finish()?;
        let values = values_of(scanner.counted())?;
        Ok(Self { bytes, depth, values })
    }

    /// The value `None`.
    pub const fn none() -> Self {
        Self { bytes: Bytes::from_static(&[0xc0]), depth: 0, values: 1 }
    }

    /// A map without entries: the inputs of an operation that takes none.
    pub const fn empty_map() -> Self {
        Self { bytes: Bytes::from_static(&[0x80]), depth: 1, values: 1 }
    }

    /// Writes a value.
    ///
    /// # Errors
    /// [`ValueError`] when it is nested too deep or holds too much.
    pub fn from_value(value: &Value) -> Result<Self, ValueError> {
        Self::new(try_encode(value)?)
    }

    /// Writes any serialisable value, structures as maps with named fields.
    ///
    /// # Errors
    /// [`ValueError`] when it has no form that the protocol allows.
    pub fn serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        let bytes = rmp_serde::to_vec_named(value)
            .map_err(|error| ValueError::Shape { reason: error.to_string() })?;
        Self::new(Bytes::from(bytes))
    }

    /// A map of payloads, spliced without decoding any.
    ///
    /// # Errors
    /// [`ValueError::Depth`] when the result would be nested too deep, [`ValueError::Count`] when it would hold too many
    /// values; [`ValueError::NoMemory`].
    pub fn map(entries: &[(&str, &Self)]) -> Result<Self, ValueError> {
        let values = entries.iter().map(|(_, part)| part.values as usize + 1).sum::<usize>();
        // Before anything is copied.
        let values = values_of(values + 1)?;
        let size: usize = entries.iter().map(|(key, part)| key.len() + part.bytes.len() + 5).sum();
        let mut out = memory::with_room(size + 5)?;
        write_map(&mut out, entries.len());
        let mut deepest = 0;
        for (key, part) in entries {
            write_text(&mut out, key);
            out.extend_from_slice(&part.bytes);
            deepest = deepest.max(part.depth);
        }
        Ok(Self { bytes: Bytes::from(out), depth: depth_of(usize::from(deepest) + 1)?, values })
    }

    /// A list of payloads, spliced without decoding any.
    ///
    /// # Errors
    /// As [`Payload::map`].
    pub fn list(items: &[&Self]) -> Result<Self, ValueError> {
        let values = values_of(items.iter().map(|part| part.values as usize).sum::<usize>() + 1)?;
        let size: usize = items.iter().map(|part| part.bytes.len()).sum();
        let mut out = memory::with_room(size + 5)?;
        write_list(&mut out, items.len());
        let mut deepest = 0;
        for part in items {
            out.extend_from_slice(&part.bytes);
            deepest = deepest.max(part.depth);
        }
        Ok(Self { bytes: Bytes::from(out), depth: depth_of(usize::from(deepest) + 1)?, values })
    }

    /// The entry of that key, where this is a map that has one (the last of several), without decoding anything.
    pub fn part(&self, key: &str) -> Option<Self> {
        let found = self.entries()?.into_iter().rev().find(|(name, _)| name == key);
        found.map(|(_, part)| part)
    }

    /// The entries, where this is a map, each still bytes.
    pub fn entries(&self) -> Option<Vec<(String, Self)>> {
        let mut scanner = Scanner::new(&self.bytes);
        let Ok(Token::Map(count)) = scanner.token() else { return None };
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = scanner.key().ok()?.to_owned();
            entries.push((key, self.slice(&mut scanner)?));
        }
        Some(entries)
    }

    /// The items, where this is a list, each still bytes.
    pub fn items(&self) -> Option<Vec<Self>> {
        let mut scanner = Scanner::new(&self.bytes);
        let Ok(Token::List(count)) = scanner.token() else { return None };
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.slice(&mut scanner)?);
        }
        Some(items)
    }

    fn slice(&self, scanner: &mut Scanner<'_>) -> Option<Self> {
        let (start, counted) = (scanner.position(), scanner.counted());
        let depth = scanner.skip(MAX_DEPTH).ok()?;
        let bytes = self.bytes.slice(start..scanner.position());
        let values = u32::try_from(scanner.counted() - counted).ok()?;
        Some(Self { bytes, depth: u8::try_from(depth).ok()?, values })
    }

    /// Whether the value is a map.
    pub fn is_map(&self) -> bool {
        matches!(Scanner::new(&self.bytes).token(), Ok(Token::Map(_)))
    }

    /// Whether the value is `None`.
    pub fn is_none(&self) -> bool {
        self.bytes.as_ref() == [0xc0]
    }

    /// The text, where the value is one.
    pub fn as_text(&self) -> Option<&str> {
        match Scanner::new(&self.bytes).token() {
            Ok(Token::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value built in memory.
    ///
    /// # Errors
    /// None in practice: a payload was checked when it was made.
    pub fn value(&self) -> Result<Value, ValueError> {
        decode(&self.bytes)
    }

    /// Reads the value as a type.
    ///
    /// # Errors
    /// [`ValueError::Shape`] when it is not of that shape.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        rmp_serde::from_slice(&self.bytes)
            .map_err(|error| ValueError::Shape { reason: error.to_string() })
    }

    /// The msgpack bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The msgpack bytes, taken out.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// How many bytes it is long.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.bytes.len() > 256 {
            return write!(out, "Payload({} bytes)", self.bytes.len());
        }
        match self.value() {
            Ok(value) => write!(out, "Payload({value:?})"),
            Err(_) => write!(out, "Payload({} bytes)", self.bytes.len()),
        }
    }
}
