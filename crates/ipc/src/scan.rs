//! A cursor over msgpack bytes that no input can make panic: the one reader under `decode`, `check` and `Payload`.
//!
//! Invariant: every read is bounded by the bytes that are there; nothing is reserved on the word of a length.

use rmp::Marker;

use crate::error::ValueError;
use crate::value::{MAX_DEPTH, MAX_VALUES};

/// The beginning of one value: a scalar whole, or how many values follow.
pub(crate) enum Token<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    List(usize),
    Map(usize),
}

/// A place in bytes that hold msgpack.
#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    data: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, left: MAX_VALUES }
    }

    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// How many single values were read.
    pub(crate) const fn counted(&self) -> usize {
        MAX_VALUES - self.left
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ValueError> {
        let rest = &self.data[self.at..];
        let taken = rest.get(..count).ok_or(ValueError::Truncated { at: self.data.len() })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let end = ValueError::Truncated { at: self.data.len() };
        self.data[self.at..].first_chunk::<N>().copied().ok_or(end).inspect(|_| self.at += N)
    }

    /// A length of 1, 2 or 4 bytes.
    fn length(&mut self, width: u8) -> Result<usize, ValueError> {
        Ok(match width {
            1 => usize::from(self.array::<1>()?[0]),
            2 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    fn text(&mut self, start: usize, length: usize) -> Result<Token<'a>, ValueError> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| ValueError::Text { at: start })?;
        Ok(Token::Text(text))
    }

    /// Reads the next value's beginning.
    pub(crate) fn token(&mut self) -> Result<Token<'a>, ValueError> {
        let start = self.at;
        self.left = self.left.checked_sub(1).ok_or(ValueError::Count { limit: MAX_VALUES })?;
        let [byte] = self.array()?;
        Ok(match Marker::from_u8(byte) {
            Marker::Null => Token::None,
            Marker::True => Token::Bool(true),
            Marker::False => Token::Bool(false),
            Marker::FixPos(number) => Token::Int(i64::from(number)),
            Marker::FixNeg(number) => Token::Int(i64::from(number)),
            Marker::U8 => Token::Int(i64::from(self.array::<1>()?[0])),
            Marker::U16 => Token::Int(i64::from(u16::from_be_bytes(self.array()?))),
            Marker::U32 => Token::Int(i64::from(u32::from_be_bytes(self.array()?))),
            Marker::U64 => Token::Int(
                i64::try_from(u64::from_be_bytes(self.array()?))
                    .map_err(|_| ValueError::Range { at: start })?,
            ),
            Marker::I8 => Token::Int(i64::from(i8::from_be_bytes(self.array()?))),
            Marker::I16 => Token::Int(i64::from(i16::from_be_bytes(self.array()?))),
            Marker::I32 => Token::Int(i64::from(i32::from_be_bytes(self.array()?))),
            Marker::I64 => Token::Int(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Token::Float(f64::from(f32::from_be_bytes(self.array()?))),
            Marker::F64 => Token::Float(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(length) => self.text(start, usize::from(length))?,
            Marker::Str8 => self.length(1).and_then(|length| self.text(start, length))?,
            Marker::Str16 => self.length(2).and_then(|length| self.text(start, length))?,
            Marker::Str32 => self.length(4).and_then(|length| self.text(start, length))?,
            Marker::Bin8 => Token::Bytes(self.length(1).and_then(|length| self.take(length))?),
            Marker::Bin16 => Token::Bytes(self.length(2).and_then(|length| self.take(length))?),
            Marker::Bin32 => Token::Bytes(self.length(4).and_then(|length| self.take(length))?),
            Marker::FixArray(count) => Token::List(usize::from(count)),
            Marker::Array16 => Token::List(self.length(2)?),
            Marker::Array32 => Token::List(self.length(4)?),
            Marker::FixMap(count) => Token::Map(usize::from(count)),
            Marker::Map16 => Token::Map(self.length(2)?),
            Marker::Map32 => Token::Map(self.length(4)?),
            _ => return Err(ValueError::Marker { marker: byte, at: start }),
        })
    }

    /// Reads a map's key.
    pub(crate) fn key(&mut self) -> Result<&'a str, ValueError> {
        let at = self.at;
        match self.token()? {
            Token::Text(text) => Ok(text),
            _ => Err(ValueError::Key { at }),
        }
    }

    /// Skips one value, checking all of it, and says how deep it is nested (0 for a scalar).
    pub(crate) fn skip(&mut self, limit: usize) -> Result<usize, ValueError> {
        let (count, is_map) = match self.token()? {
            Token::List(count) => (count, false),
            Token::Map(count) => (count, true),
            _ => return Ok(0),
        };
        let below = limit.checked_sub(1).ok_or(ValueError::Depth { limit: MAX_DEPTH })?;
        let mut deepest = 0;
        for _ in 0..count {
            if is_map {
                self.key()?;
            }
            deepest = deepest.max(self.skip(below)?);
        }
        Ok(deepest + 1)
    }

    /// Says that nothing may follow.
    pub(crate) fn finish(&self) -> Result<(), ValueError> {
        match self.data.len() - self.at {
            0 => Ok(()),
            count => Err(ValueError::Trailing { count }),
        }
    }
}
