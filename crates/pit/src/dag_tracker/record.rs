//! The tracker's journal records: one for each move, little endian, read back at open.
//!
//! Invariant: what was written once is read by every later version of the same format number.

use std::sync::Arc;
use std::time::Duration;

use crate::journal::Format;
use crate::{PitError, PitResult};

use super::{RunId, RunPolicy, Shape, Step};

/// The journal's kind and version.
pub(super) const FORMAT: Format = Format { magic: *b"SYMPHDAG", version: 2 };

const SHAPE: u8 = 1;
const SUBMIT: u8 = 2;
const MOVE: u8 = 3;
const CANCEL: u8 = 4;
const FORGET: u8 = 5;
const NEXT: u8 = 6;
/// Later kinds; a journal without soft needs and policies has none of them.
const SOFT_SHAPE: u8 = 7;
const SUBMIT_WITH: u8 = 8;
const ATTEMPTS: u8 = 9;
const EXPIRE: u8 = 10;

/// The layout of [`SUBMIT_WITH`]; another one is refused by name, not guessed at.
const SUBMIT_LAYOUT: u8 = 1;
const NEVER: u64 = u64::MAX;

const COMPLETE: u8 = 1;
const FAIL: u8 = 2;
const SKIP: u8 = 3;
const RETRY: u8 = 4;

/// A record as it is read back; text borrows from the journal's buffer.
pub(super) enum Record<'a> {
    /// A graph, once for each digest.
    Shape(blake3::Hash, Arc<Shape>),
    /// A run of a graph.
    Submit { run: RunId, priority: i64, shape: blake3::Hash, label: &'a str, about: About },
    /// A node moved.
    Move { run: RunId, step: Step<'a> },
    /// A node had failed so often when the journal was written anew; waiting: it is tried again.
    Attempts { run: RunId, node: u32, attempts: u32, waiting: bool },
    /// The deadline of a run had passed.
    Expire(RunId),
    /// A run was cancelled.
    Cancel(RunId),
    /// A run was forgotten.
    Forget(RunId),
    /// No run below this number will be given out again.
    Next(u64),
}

/// What a submission says besides graph, priority and label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) queued: bool,
    pub(super) policy: RunPolicy,
}

pub(super) fn write_shape(out: &mut Vec<u8>, shape: &Shape) {
    out.push(if shape.has_soft() { SOFT_SHAPE } else { SHAPE });
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
        if shape.has_soft() {
            let soft = shape.soft_needs(node);
            put_count(out, soft.len());
            for need in soft {
                out.extend_from_slice(&need.to_le_bytes());
            }
        }
    }
}

pub(super) fn write_submit(
    out: &mut Vec<u8>,
    run: RunId,
    priority: i64,
    shape: &Shape,
    label: &str,
    about: &About,
) {
    // What the first kind of this record says of a run without policy.
    let plain = about.queued == label.is_empty() && about.policy == RunPolicy::default();
    out.push(if plain { SUBMIT } else { SUBMIT_WITH });
    if !plain {
        out.push(SUBMIT_LAYOUT);
    }
    out.extend_from_slice(&run.0.to_le_bytes());
    out.extend_from_slice(&priority.to_le_bytes());
    out.extend_from_slice(shape.digest().as_bytes());
    if !plain {
        put_about(out, about);
    }
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

pub(super) fn write_attempts(
    out: &mut Vec<u8>,
    run: RunId,
    node: u32,
    attempts: u32,
    waiting: bool,
) {
    out.push(ATTEMPTS);
    out.extend_from_slice(&run.0.to_le_bytes());
    out.extend_from_slice(&node.to_le_bytes());
    out.extend_from_slice(&attempts.to_le_bytes());
    out.push(u8::from(waiting));
}

pub(super) fn write_expire(out: &mut Vec<u8>, run: RunId) {
    out.push(EXPIRE);
    out.extend_from_slice(&run.0.to_le_bytes());
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
        kind @ (SHAPE | SOFT_SHAPE) => {
            let digest = reader.digest()?;
            let shape = read_shape(&mut reader, kind == SOFT_SHAPE)
                .map_err(|_| "it holds no lawful graph")?;
            if *shape.digest() != digest {
                return Err("a graph does not have the digest that it names");
            }
            Record::Shape(digest, shape)
        }
        SUBMIT => Record::Submit {
            run: RunId(reader.u64()?),
            priority: i64::from_le_bytes(reader.array()?),
            shape: reader.digest()?,
            // Those with a label are a Melody's, whose engine gives out their nodes.
            about: About { queued: reader.0.is_empty(), policy: RunPolicy::default() },
            label: reader.rest()?,
        },
        SUBMIT_WITH => {
            if reader.byte()? != SUBMIT_LAYOUT {
                return Err("a run that a later version submitted");
            }
            Record::Submit {
                run: RunId(reader.u64()?),
                priority: i64::from_le_bytes(reader.array()?),
                shape: reader.digest()?,
                about: read_about(&mut reader)?,
                label: reader.rest()?,
            }
        }
        ATTEMPTS => Record::Attempts {
            run: RunId(reader.u64()?),
            node: reader.u32()?,
            attempts: reader.u32()?,
            waiting: reader.byte()? == 1,
        },
        EXPIRE => Record::Expire(RunId(reader.u64()?)),
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

fn read_shape(reader: &mut Reader<'_>, has_soft: bool) -> PitResult<Arc<Shape>> {
    let damaged =
        |reason: &str| PitError::Internal { member: "dag-tracker", reason: reason.into() };
    let count = reader.u32().map_err(damaged)?;
    let mut names = Vec::new();
    let (mut rows, mut soft) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let length = reader.u32().map_err(damaged)? as usize;
        let name = reader.take(length).map_err(damaged)?;
        names.push(Arc::from(std::str::from_utf8(name).map_err(|_| damaged("no UTF-8"))?));
        let needs = reader.u32().map_err(damaged)?;
        rows.push(read_row(reader, needs, count).map_err(damaged)?);
        if has_soft {
            let needs = reader.u32().map_err(damaged)?;
            soft.push(read_row(reader, needs, count).map_err(damaged)?);
        }
    }
    Shape::from_indices(names, rows, soft)
}

fn read_row(reader: &mut Reader<'_>, needs: u32, nodes: u32) -> Result<Vec<u32>, &'static str> {
    let mut row = Vec::new();
    for _ in 0..needs {
        let need = reader.u32()?;
        if need >= nodes {
            return Err("a need beyond the graph");
        }
        row.push(need);
    }
    Ok(row)
}

fn put_about(out: &mut Vec<u8>, about: &About) {
    let millis = |span: Option<Duration>| {
        span.and_then(|span| u64::try_from(span.as_millis()).ok()).unwrap_or(NEVER)
    };
    let policy = &about.policy;
    out.push(u8::from(about.queued));
    out.extend_from_slice(&policy.retries.to_le_bytes());
    out.extend_from_slice(&millis(Some(policy.back_off)).to_le_bytes());
    out.extend_from_slice(&millis(policy.timeout).to_le_bytes());
    out.extend_from_slice(&policy.deadline.unwrap_or(NEVER).to_le_bytes());
    put_count(out, policy.retries_of.len());
    for (node, retries) in &policy.retries_of {
        out.extend_from_slice(&node.to_le_bytes());
        out.extend_from_slice(&retries.to_le_bytes());
    }
    put_count(out, policy.timeout_of.len());
    for (node, timeout) in &policy.timeout_of {
        out.extend_from_slice(&node.to_le_bytes());
        out.extend_from_slice(&millis(Some(*timeout)).to_le_bytes());
    }
}

fn read_about(reader: &mut Reader<'_>) -> Result<About, &'static str> {
    let known = |millis: u64| (millis != NEVER).then_some(millis);
    let queued = reader.byte()? == 1;
    let mut policy = RunPolicy {
        retries: reader.u32()?,
        back_off: Duration::from_millis(reader.u64()?),
        timeout: known(reader.u64()?).map(Duration::from_millis),
        deadline: known(reader.u64()?),
        ..RunPolicy::default()
    };
    for _ in 0..reader.u32()? {
        policy.retries_of.insert(reader.u32()?, reader.u32()?);
    }
    for _ in 0..reader.u32()? {
        policy.timeout_of.insert(reader.u32()?, Duration::from_millis(reader.u64()?));
    }
    Ok(About { queued, policy })
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
        let text = std::str::from_utf8(self.0).map_err(|_| "a text is not UTF-8")?;
        self.0 = &[];
        Ok(text)
    }
}
