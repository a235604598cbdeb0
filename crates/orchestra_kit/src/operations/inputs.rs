//! The inputs of one operation, read by name and type.
//!
//! Called by every member's table. Invariant: an input that the operation does not have is an error, never ignored.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::{MAX_LENGTH, Value};

use super::Holdings;
use super::holdings::Room;
use super::members::unknown_input;
use crate::KitError;
use crate::manifest::Member;

/// Checked inputs.
pub(super) struct Inputs<'a> {
    member: Member,
    operation: &'static str,
    entries: &'a [(String, Value)],
    pub(super) deadline: Option<Instant>,
    /// What the caller holds; none: somebody inside this process calls.
    pub(super) holdings: Option<&'a Arc<Holdings>>,
    /// Kept until the result has been written.
    room: Cell<Option<Room<'a>>>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(
        member: Member,
        operation: &'static str,
        known: &[&str],
        value: &'a Value,
        deadline: Option<Instant>,
        holdings: Option<&'a Arc<Holdings>>,
    ) -> Result<Self, KitError> {
        let call = format!("{}.{operation}", member.as_str());
        let Value::Map(entries) = value else {
            return Err(invalid(format!("the inputs of `{call}` are not a map")));
        };
        for (name, _) in entries {
            if !known.iter().any(|input| input.trim_end_matches('?') == name) {
                let meant = unknown_input(name, known);
                return Err(invalid(format!("`{call}` takes no input `{name}`{meant}")));
            }
        }
        for input in known {
            if !input.ends_with('?') && !entries.iter().any(|(name, _)| name == input) {
                return Err(invalid(format!("`{call}` lacks its input `{input}`")));
            }
        }
        Ok(Self { member, operation, entries, deadline, holdings, room: Cell::new(None) })
    }

    /// Asks for room for a result of that size before it is read. What nobody waits for outside has all there is.
    pub(super) fn make_room(&self, bytes: u64) -> Result<(), KitError> {
        let Some(holdings) = self.holdings else { return Ok(()) };
        let (bytes, limit) = (usize::try_from(bytes).unwrap_or(usize::MAX), MAX_LENGTH as usize);
        // A result has a head of a few bytes.
        if bytes > limit - 16 {
            let call = format!("{}.{}", self.member.as_str(), self.operation);
            return Err(KitError::TooLarge { call, bytes, limit });
        }
        let room = holdings.room_for(bytes);
        let full = || KitError::Overloaded { what: self.member.as_str() };
        self.room.set(Some(room.ok_or_else(full)?));
        Ok(())
    }

    /// The value of an input; None where it is left out or None.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let found = self.entries.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value).filter(|value| !matches!(value, Value::None))
    }

    fn wrong(&self, name: &str, wanted: &str) -> KitError {
        invalid(format!(
            "`{name}` of `{}.{}` is not {wanted}",
            self.member.as_str(),
            self.operation
        ))
    }

    fn required(&self, name: &str, wanted: &str) -> Result<&'a Value, KitError> {
        self.get(name).ok_or_else(|| self.wrong(name, wanted))
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, KitError> {
        self.required(name, "text")?.as_text().ok_or_else(|| self.wrong(name, "text"))
    }

    pub(super) fn text_or_none(&self, name: &str) -> Result<Option<&'a str>, KitError> {
        self.get(name).map(|_| self.text(name)).transpose()
    }

    /// Bytes; text is its UTF-8.
    pub(super) fn bytes(&self, name: &str) -> Result<&'a [u8], KitError> {
        match self.required(name, "bytes or text")? {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Text(text) => Ok(text.as_bytes()),
            _ => Err(self.wrong(name, "bytes or text")),
        }
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, KitError> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Int(number)) => Ok(*number),
            Some(_) => Err(self.wrong(name, "a whole number")),
        }
    }

    /// A number that counts.
    pub(super) fn count(&self, name: &str, default: u64) -> Result<u64, KitError> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Int(number)) => {
                u64::try_from(*number).map_err(|_| self.wrong(name, "a count"))
            }
            Some(_) => Err(self.wrong(name, "a count")),
        }
    }

    pub(super) fn count_or_none(&self, name: &str) -> Result<Option<u64>, KitError> {
        self.get(name).map(|_| self.count(name, 0)).transpose()
    }

    pub(super) fn number_or_none(&self, name: &str) -> Result<Option<f64>, KitError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Float(number)) => Ok(Some(*number)),
            Some(Value::Int(number)) => Ok(Some(*number as f64)),
            Some(_) => Err(self.wrong(name, "a number")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, KitError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// Seconds; [`component::LONGEST`] stands for no limit.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>, KitError> {
        let seconds = match self.get(name) {
            None => return Ok(None),
            Some(Value::Float(seconds)) => component::span(*seconds),
            Some(Value::Int(seconds)) => component::span(*seconds as f64),
            Some(_) => None,
        };
        seconds.map(Some).ok_or_else(|| self.wrong(name, "a number of seconds"))
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, KitError> {
        let wrong = || self.wrong(name, "a list of texts");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => items
                .iter()
                .map(|item| item.as_text().map(str::to_owned).ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// A graph: each node with the nodes that it needs.
    pub(super) fn graph(&self, name: &str) -> Result<Vec<(String, Vec<String>)>, KitError> {
        let wrong = || self.wrong(name, "a map of nodes to lists of nodes");
        let Value::Map(nodes) = self.required(name, "a map of nodes to lists of nodes")? else {
            return Err(wrong());
        };
        let needs = |value: &Value| match value {
            Value::List(items) => {
                items.iter().map(|item| item.as_text().map(str::to_owned)).collect()
            }
            Value::None => Some(Vec::new()),
            _ => None,
        };
        nodes
            .iter()
            .map(|(node, value)| Ok((node.clone(), needs(value).ok_or_else(wrong)?)))
            .collect()
    }

    /// Reads an input by its own parser.
    pub(super) fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        wanted: &str,
    ) -> Result<T, KitError> {
        self.text(name)?.parse().map_err(|_| self.wrong(name, wanted))
    }
}

fn invalid(what: String) -> KitError {
    KitError::InvalidValue { what }
}

/// A count as a value; beyond what a value holds, the most it holds.
pub(super) fn number(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Names as a value.
pub(super) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> Value {
    Value::List(items.into_iter().map(|item| Value::Text(item.to_string())).collect())
}
