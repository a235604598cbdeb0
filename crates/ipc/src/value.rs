//! The values that cross a lane, and their codec: strict msgpack without extension types.
//!
//! Invariant: `decode(encode(v)) == v` for every value nested at most [`MAX_DEPTH`] deep, and no bytes make `decode`
//! panic or reserve more than they can fill.

use bytes::Bytes;
use component::memory;

use crate::error::ValueError;
use crate::scan::{Scanner, Token};

/// How deep lists and maps may be nested.
pub const MAX_DEPTH: usize = 128;
/// How many single values one value may hold, keys included: a byte of msgpack can become 32 bytes of memory.
pub const MAX_VALUES: usize = 8 * 1024 * 1024;

/// A value that any language of a guest knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    None,
    /// True or false.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// Text.
    Text(String),
    /// Raw bytes.
    Bytes(Bytes),
    /// A list.
    List(Vec<Value>),
    /// A map with text keys, in the order in which they were written.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The entry of that key, where this is a map that has one; the last of several.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => {
                entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The text, where this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, where this is one.
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty => $arm:expr;)*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                $arm(value)
            }
        })*
    };
}

from! {
    bool => Value::Bool;
    i64 => Value::Int;
    i32 => |number| Value::Int(i64::from(number));
    u32 => |number| Value::Int(i64::from(number));
    f64 => Value::Float;
    String => Value::Text;
    &str => |text: &str| Value::Text(text.to_owned());
    Bytes => Value::Bytes;
    Vec<u8> => |bytes: Vec<u8>| Value::Bytes(Bytes::from(bytes));
    Vec<Value> => Value::List;
    () => |()| Value::None;
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Value {
    fn from(entries: [(K, V); N]) -> Self {
        Self::Map(entries.map(|(key, value)| (key.into(), value.into())).into())
    }
}

/// Writes a value as msgpack, integers and lengths in their shortest form.
///
/// A value nested deeper than [`MAX_DEPTH`] is written but no peer will read it;
/// [`Payload::from_value`](crate::Payload::from_value) refuses it.
pub fn encode(value: &Value) -> Bytes {
    let mut out = Vec::with_capacity(64);
    write(&mut out, value);
    Bytes::from(out)
}

/// As [`encode`], and without memory it is an error.
pub(crate) fn try_encode(value: &Value) -> Result<Bytes, ValueError> {
    let mut out = memory::with_room(size_of_texts(value).saturating_add(64))?;
    write(&mut out, value);
    Ok(Bytes::from(out))
}

/// What of a value may be long: how many bytes its texts and bytes hold.
fn size_of_texts(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() + 5,
        Value::Bytes(bytes) => bytes.len() + 5,
        Value::List(items) => items.iter().map(size_of_texts).sum(),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| key.len() + 5 + size_of_texts(value)).sum()
        }
        _ => 0,
    }
}

/// Reads exactly one value.
///
/// # Errors
/// [`ValueError`] for anything but one whole lawful value.
pub fn decode(bytes: &[u8]) -> Result<Value, ValueError> {
    let mut scanner = Scanner::new(bytes);
    let value = read(&mut scanner, MAX_DEPTH)?;
    scanner.finish()?;
    Ok(value)
}

/// Checks that the bytes are exactly one lawful value, without building it.
///
/// # Errors
/// [`ValueError`], the same that [`decode`] gives.
pub fn check(bytes: &[u8]) -> Result<(), ValueError> {
    let mut scanner = Scanner::new(bytes);
    scanner.skip(MAX_DEPTH)?;
    scanner.finish()
}

fn read(scanner: &mut Scanner<'_>, depth: usize) -> Result<Value, ValueError> {
    let token = scanner.token()?;
    let below = || depth.checked_sub(1).ok_or(ValueError::Depth { limit: MAX_DEPTH });
    Ok(match token {
        Token::None => Value::None,
        Token::Bool(value) => Value::Bool(value),
        Token::Int(number) => Value::Int(number),
        Token::Float(number) => Value::Float(number),
        Token::Text(text) => {
            let mut copy = String::new();
            let bytes = text.len();
            copy.try_reserve_exact(bytes).map_err(|_| memory::NoMemory { bytes })?;
            copy.push_str(text);
            Value::Text(copy)
        }
        Token::Bytes(bytes) => Value::Bytes(Bytes::from(memory::copied(bytes)?)),
        Token::List(count) => {
            let below = below()?;
            let mut items = Vec::new();
            for _ in 0..count {
                items.push(read(scanner, below)?);
            }
            Value::List(items)
        }
        Token::Map(count) => {
            let below = below()?;
            let mut entries = Vec::new();
            for _ in 0..count {
                let key = scanner.key()?.to_owned();
                entries.push((key, read(scanner, below)?));
            }
            Value::Map(entries)
        }
    })
}

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::None => out.push(0xc0),
        Value::Bool(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Int(number) => write_int(out, *number),
        Value::Float(number) => {
            out.push(0xcb);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Text(text) => write_text(out, text),
        Value::Bytes(bytes) => {
            match bytes.len() {
                length if length < 1 << 8 => short(out, 0xc4, length),
                length if length < 1 << 16 => middle(out, 0xc5, length),
                length => long(out, 0xc6, length),
            }
            out.extend_from_slice(bytes);
        }
        Value::List(items) => {
            write_list(out, items.len());
            for item in items {
                write(out, item);
            }
        }
        Value::Map(entries) => {
            write_map(out, entries.len());
            for (key, value) in entries {
                write_text(out, key);
                write(out, value);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the caller has compared the length")]
fn short(out: &mut Vec<u8>, marker: u8, length: usize) {
    out.extend_from_slice(&[marker, length as u8]);
}

#[expect(clippy::cast_possible_truncation, reason = "the caller has compared the length")]
fn middle(out: &mut Vec<u8>, marker: u8, length: usize) {
    out.push(marker);
    out.extend_from_slice(&(length as u16).to_be_bytes());
}

fn long(out: &mut Vec<u8>, marker: u8, length: usize) {
    out.push(marker);
    // More than 4 GiB fits no frame; a frame's own length check refuses it before it is sent.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

/// Writes an integer in its shortest form.
pub(crate) fn write_int(out: &mut Vec<u8>, number: i64) {
    if let Ok(small) = i8::try_from(number)
        && small >= -32
    {
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = u8::try_from(number) {
        out.extend_from_slice(&[0xcc, small]);
    } else if let Ok(small) = i8::try_from(number) {
        out.push(0xd0);
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = u16::try_from(number) {
        out.push(0xcd);
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = i16::try_from(number) {
        out.push(0xd1);
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = u32::try_from(number) {
        out.push(0xce);
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = i32::try_from(number) {
        out.push(0xd2);
        out.extend_from_slice(&small.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Writes a text.
#[expect(clippy::cast_possible_truncation, reason = "compared right before")]
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        length if length < 32 => out.push(0xa0 | length as u8),
        length if length < 1 << 8 => short(out, 0xd9, length),
        length if length < 1 << 16 => middle(out, 0xda, length),
        length => long(out, 0xdb, length),
    }
    out.extend_from_slice(text.as_bytes());
}

/// Writes the beginning of a list.
#[expect(clippy::cast_possible_truncation, reason = "compared right before")]
pub(crate) fn write_list(out: &mut Vec<u8>, count: usize) {
    match count {
        count if count < 16 => out.push(0x90 | count as u8),
        count if count < 1 << 16 => middle(out, 0xdc, count),
        count => long(out, 0xdd, count),
    }
}

/// Writes the beginning of a map.
#[expect(clippy::cast_possible_truncation, reason = "compared right before")]
pub(crate) fn write_map(out: &mut Vec<u8>, count: usize) {
    match count {
        count if count < 16 => out.push(0x80 | count as u8),
        count if count < 1 << 16 => middle(out, 0xde, count),
        count => long(out, 0xdf, count),
    }
}
