//! The inputs of a call, taken out one by one.
//!
//! Invariant: what is missing, of another type or beyond its limits is refused by its name.

use component::Code;
use ipc::Value;

use crate::call::{Failed, refused};
use crate::wire::json;

/// No text has more lines, and no line more letters.
const MOST: i64 = 0x7fff_ffff;

/// What a call was given.
pub(super) struct Inputs(pub(super) Value);

impl Inputs {
    fn given(&mut self, name: &str) -> Option<Value> {
        json::take(&mut self.0, name).filter(|value| *value != Value::None)
    }

    pub(super) fn any(&mut self, name: &str) -> Option<Value> {
        self.given(name)
    }

    pub(super) fn optional_text(&mut self, name: &str) -> Result<Option<String>, Failed> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "text")),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, Failed> {
        self.optional_text(name)?.ok_or_else(|| missing(name))
    }

    pub(super) fn optional_number(&mut self, name: &str) -> Result<Option<usize>, Failed> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::Int(number)) if (0..=MOST).contains(&number) => {
                Ok(usize::try_from(number).ok())
            }
            Some(_) => Err(wrong(name, "a whole number from 0")),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<usize, Failed> {
        self.optional_number(name)?.ok_or_else(|| missing(name))
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool, Failed> {
        match self.given(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    /// Refuses what nobody took.
    pub(super) fn end(self) -> Result<(), Failed> {
        match self.0 {
            Value::Map(entries) => match entries.first() {
                Some((name, value)) if *value != Value::None => {
                    Err(refused(Code::INVALID_VALUE, format!("there is no input `{name}`")))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn missing(name: &str) -> Failed {
    refused(Code::INVALID_VALUE, format!("the input `{name}` is missing"))
}

pub(super) fn wrong(name: &str, wanted: &str) -> Failed {
    refused(Code::INVALID_VALUE, format!("the input `{name}` must be {wanted}"))
}
