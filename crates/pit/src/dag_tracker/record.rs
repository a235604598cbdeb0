//! The tracker's journal records: one for each move, little endian, read back at open.
//!
//! Invariant: what was written once is read by every later version of the same format number.

use std::sync::Arc;

use crate::journal::Format;
use crate::{PitError, PitResult};

use super::{RunId, Shape, Step};

/// The journal's kind and version.
pub(super) const FORMAT: Format = Format { magic: *b"SYMPHDAG", version: 2 };

const SHAPE: u8 = 1;
const SUBMIT: u8 = 2;
const MOVE: u8 = 3;
const CANCEL: u8 = 4;
const FORGET: u8 = 5;
const NEXT: u8 = 6;

const COMPLETE: u8 = 1;
const FAIL: u8 = 2;
const SKIP: u8 = 3;
const RETRY: u8 = 4;

/// A record as it is read back; text borrows from the journal's buffer.
pub(super) enum Record<'a> {
    /// A graph, once for each digest.
    Shape(blake3::Hash, Arc<Shape>),
    /// A run of a graph.
    Submit { run: RunId, priority: i64, shape: blake3::Hash, label: &'a str },
    /// A node moved.
    Move { run: RunId, step: Step<'a> },
    /// A run was cancelled.
    Cancel(RunId),
    /// A run was forgotten.
    Forget(RunId),
    /// No run below this number will be given out again.
    Next(u64),
}

pub(super) fn write_shape(out: &mut Vec<u8>, shape: &Shape) {
    out.push(SHAPE);
    out.extend_from_slice(shape.digest().as_bytes());
    out.extend_from_slice(&shape.len().to_le_bytes());
    for (name, node) in shape.names().iter().zip(0u32..) {
        put_count(out, name.len());
        out.extend_from_slice(name.as_bytes());
        let needs = shape.needs(node);
        put_count(out, needs.len());
        for need in needs {
            out.extend_from_slice(&need.to_le_bytes());
        }
    }
}

pub(super) fn write_submit(
    out: &mut Vec<u8>,
    run: RunId,
    priority: i64,
    shape: &Shape,
    label: &str,
) {
    out.push(SUBMIT);
    out.extend_from_slice(&run.0.to_le_bytes());
    out.extend_from_slice(&priority.to_le_bytes());
    out.extend_from_slice(shape.digest().as_bytes());
    out.extend_from_slice(label.as_bytes());
}

pub(super) fn write_move(out: &mut Vec<u8>, run: RunId, step: Step<'_>) {
    let (node, kind, text) = match step {
        Step::Complete { node, artifact } => (node, COMPLETE, artifact),
        Step::Fail { node, reason } => (node, FAIL, Some(reason)),
        Step::Skip { node, reason } => (node, SKIP, reason),
        Step::Retry { node } => (node, RETRY, None),
    };
    out.push(MOVE);
    out.extend_from_slice(&run.0.to_le_bytes());
    out.extend_from_slice(&node.to_le_bytes());
    out.push(kind);
    out.push(u8::from(text.is_some()));
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
}

pub(super) fn write_cancel(out: &mut Vec<u8>, run: RunId) {
    out.push(CANCEL);
    out.extend_from_slice(&run.0.to_le_bytes());
}

pub(super) fn write_forget(out: &mut Vec<u8>, run: RunId) {
    out.push(FORGET);
    out.extend_from_slice(&run.0.to_le_bytes());
}

pub(super) fn write_next(out: &mut Vec<u8>, next: u64) {
    out.push(NEXT);
    out.extend_from_slice(&next.to_le_bytes());
}

/// Reads one record; the error is what is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Record<'_>, &'static str> {
    let mut reader = Reader(bytes);
    let record = match reader.byte()? {
        SHAPE => {
            let digest = reader.digest()?;
            let shape = read_shape(&mut reader).map_err(|_| "it holds no lawful graph")?;
            if *shape.digest() != digest {
                return Err("a graph does not have the digest that it names");
            }
            Record::Shape(digest, shape)
        }
        SUBMIT => Record::Submit {
            run: RunId(reader.u64()?),
            priority: i64::from_le_bytes(reader.array()?),
            shape: reader.digest()?,
            label: reader.rest()?,
        },
        MOVE => {
            let run = RunId(reader.u64()?);
            let node = reader.u32()?;
            let kind = reader.byte()?;
            let has_text = reader.byte()? == 1;
            let text = reader.rest()?;
            let text = has_text.then_some(text);
            let step = match kind {
                COMPLETE => Step::Complete { node, artifact: text },
                FAIL => Step::Fail { node, reason: text.unwrap_or_default() },
                SKIP => Step::Skip { node, reason: text },
                RETRY => Step::Retry { node },
                _ => return Err("a move of an unknown kind"),
            };
            Record::Move { run, step }
        }
        CANCEL => Record::Cancel(RunId(reader.u64()?)),
        FORGET => Record::Forget(RunId(reader.u64()?)),
        NEXT => Record::Next(reader.u64()?),
        _ => return Err("a record of an unknown kind"),
    };
    Ok(record)
}

fn read_shape(reader: &mut Reader<'_>) -> PitResult<Arc<Shape>> {
    let damaged =
        |reason: &str| PitError::Internal { member: "dag-tracker", reason: reason.into() };
    let count = reader.u32().map_err(damaged)?;
    let mut names = Vec::new();
    let mut rows = Vec::new();
    for _ in 0..count {
        let length = reader.u32().map_err(damaged)? as usize;
        let name = reader.take(length).map_err(damaged)?;
        names.push(Arc::from(std::str::from_utf8(name).map_err(|_| damaged("no UTF-8"))?));
        let needs = reader.u32().map_err(damaged)?;
        let mut row = Vec::new();
        for _ in 0..needs {
            let need = reader.u32().map_err(damaged)?;
            if need >= count {
                return Err(damaged("a need beyond the graph"));
            }
            row.push(need);
        }
        rows.push(row);
    }
    Shape::from_indices(names, rows)
}

/// Shapes are limited to 32 bits where they are built.
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("a record is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("a record is too short")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        self.array().map(u64::from_le_bytes)
    }

    fn digest(&mut self) -> Result<blake3::Hash, &'static str> {
        self.array().map(blake3::Hash::from_bytes)
    }

    fn rest(&mut self) -> Result<&'a str, &'static str> {
        let text = std::str::from_utf8(self.0).map_err(|_| "a text is no UTF-8")?;
        self.0 = &[];
        Ok(text)
    }
}
