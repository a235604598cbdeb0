//! One msgpack value that stays bytes: results are passed on, spliced and taken apart without being decoded.
//!
//! Invariant: a `Payload` holds exactly one lawful value; whatever cannot be proved so cannot become one.

use bytes::Bytes;
use component::memory;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ValueError;
use crate::scan::{Scanner, Token};
use crate::value::{MAX_DEPTH, Value, decode, try_encode, write_list, write_map, write_text};

/// Bytes that hold one valid msgpack value. A clone shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    bytes: Bytes,
    /// How deep the value is nested, at most: what splicing must not exceed.
    depth: u8,
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
        Ok(Self { bytes, depth })
    }

    /// The value `None`.
    pub const fn none() -> Self {
        Self { bytes: Bytes::from_static(&[0xc0]), depth: 0 }
    }

    /// A map without entries: the inputs of an operation that takes none.
    pub const fn empty_map() -> Self {
        Self { bytes: Bytes::from_static(&[0x80]), depth: 1 }
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
    /// [`ValueError::Depth`] when the result would be nested too deep; [`ValueError::NoMemory`].
    pub fn map(entries: &[(&str, &Self)]) -> Result<Self, ValueError> {
        let size: usize = entries.iter().map(|(key, part)| key.len() + part.bytes.len() + 5).sum();
        let mut out = memory::with_room(size + 5)?;
        write_map(&mut out, entries.len());
        let mut deepest = 0;
        for (key, part) in entries {
            write_text(&mut out, key);
            out.extend_from_slice(&part.bytes);
            deepest = deepest.max(part.depth);
        }
        Ok(Self { bytes: Bytes::from(out), depth: depth_of(usize::from(deepest) + 1)? })
    }

    /// A list of payloads, spliced without decoding any.
    ///
    /// # Errors
    /// [`ValueError::Depth`] when the result would be nested too deep.
    pub fn list(items: &[&Self]) -> Result<Self, ValueError> {
        let size: usize = items.iter().map(|part| part.bytes.len()).sum();
        let mut out = memory::with_room(size + 5)?;
        write_list(&mut out, items.len());
        let mut deepest = 0;
        for part in items {
            out.extend_from_slice(&part.bytes);
            deepest = deepest.max(part.depth);
        }
        Ok(Self { bytes: Bytes::from(out), depth: depth_of(usize::from(deepest) + 1)? })
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
        let start = scanner.position();
        let depth = scanner.skip(MAX_DEPTH).ok()?;
        let bytes = self.bytes.slice(start..scanner.position());
        Some(Self { bytes, depth: u8::try_from(depth).ok()? })
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
