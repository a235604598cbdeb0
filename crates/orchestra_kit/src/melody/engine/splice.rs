//! Inputs of a call from values that are there: spliced as msgpack, not decoded.

use ipc::{Payload, Value};

use super::score::{Filling, Part, Place, Slot, TextPart};
use crate::KitError;

/// The values of a run that a call may use.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) inputs: &'a [Payload],
    pub(super) nodes: &'a [Option<Payload>],
}

/// The inputs of a node's call.
///
/// # Errors
/// A reference into a value that has no such part, or a value that no text can hold.
pub(super) fn inputs(part: &Part, values: Values<'_>) -> Result<Payload, KitError> {
    table(&part.with, values)
}

fn table(entries: &[(String, Filling)], values: Values<'_>) -> Result<Payload, KitError> {
    let filled: Vec<Payload> =
        entries.iter().map(|(_, filling)| fill(filling, values)).collect::<Result<_, _>>()?;
    let entries: Vec<(&str, &Payload)> =
        entries.iter().map(|(key, _)| key.as_str()).zip(&filled).collect();
    Payload::map(&entries).map_err(too_deep)
}

fn fill(filling: &Filling, values: Values<'_>) -> Result<Payload, KitError> {
    match filling {
        Filling::Ready(payload) => Ok(payload.clone()),
        Filling::Value(place) => value(place, values),
        Filling::Text(pieces) => text(pieces, values),
        Filling::List(items) => {
            let filled: Vec<Payload> =
                items.iter().map(|item| fill(item, values)).collect::<Result<_, _>>()?;
            Payload::list(&filled.iter().collect::<Vec<_>>()).map_err(too_deep)
        }
        Filling::Table(entries) => table(entries, values),
    }
}

/// The value at a place. Every part of a skipped node's value is none, as the value itself is.
fn value(place: &Place, values: Values<'_>) -> Result<Payload, KitError> {
    let whole = match place.slot {
        Slot::Input(at) => values.inputs.get(at),
        Slot::Node(at) => values.nodes.get(at).and_then(Option::as_ref),
    };
    let Some(whole) = whole else { return Ok(Payload::none()) };
    let mut part = whole.clone();
    for key in &place.path {
        part = part.part(key).ok_or_else(|| KitError::InvalidValue {
            what: if part.is_map() {
                format!("`{}` does not exist: the value has no `{key}`", place.written)
            } else {
                format!("`{}` does not exist: the value is not a table", place.written)
            },
        })?;
    }
    Ok(part)
}

fn text(pieces: &[TextPart], values: Values<'_>) -> Result<Payload, KitError> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            TextPart::Text(plain) => text.push_str(plain),
            TextPart::Value(place) => {
                let part = value(place, values)?;
                match part.value().map_err(too_deep)? {
                    Value::None => {}
                    Value::Text(inside) => text.push_str(&inside),
                    Value::Int(number) => text.push_str(&number.to_string()),
                    Value::Float(number) => text.push_str(&number.to_string()),
                    Value::Bool(flag) => text.push_str(if flag { "true" } else { "false" }),
                    Value::Bytes(_) | Value::List(_) | Value::Map(_) => {
                        return Err(KitError::InvalidValue {
                            what: format!(
                                "`{}` is not a text and stands inside one",
                                place.written
                            ),
                        });
                    }
                }
            }
        }
    }
    Payload::from_value(&Value::Text(text)).map_err(too_deep)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn too_deep(error: ipc::ValueError) -> KitError {
    KitError::InvalidValue { what: error.to_string() }
}
